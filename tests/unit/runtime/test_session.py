"""What a session hands to an engine, seen from the engine's side of the seam."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edge_sdk.backends import Array
from edge_sdk.errors import UsageError
from edge_sdk.processing import Processing
from edge_sdk.runtime import Session
from edge_sdk.spec import Placement, Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="a", dtype="float32", shape=(2, 3)),
        TensorSpec(name="b", dtype="float32", shape=("rows", 3)),
    ),
    outputs=(TensorSpec(name="y", dtype="float32", shape=(2, 3)),),
)
A = np.arange(6, dtype=np.float32).reshape(2, 3)


class Recorder:
    """An engine that keeps what it was given and answers with the first input."""

    signature = SIGNATURE

    def __init__(self) -> None:
        self.given: list[Array] = []
        self.closed = 0

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.given = list(inputs)
        return [inputs[0]]

    def placement(self) -> Placement:
        return Placement(
            backend="recorder",
            backend_version="1",
            requested=(),
            attempts=(),
            operations=None,
            threads=1,
        )

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def engine() -> Recorder:
    return Recorder()


@pytest.fixture
def session(engine: Recorder) -> Session:
    processing = Processing(signature=SIGNATURE, engine_signature=SIGNATURE)
    return Session(engine, SIGNATURE, SIGNATURE, variant="", processing=processing)


def test_what_is_right_already_is_handed_over_as_it_is(session: Session, engine: Recorder) -> None:
    b = np.ones((5, 3), np.float32)
    session.run({"a": A, "b": b})
    assert engine.given[0] is A
    assert np.shares_memory(engine.given[1], b)


def test_inputs_come_in_the_engines_order(session: Session, engine: Recorder) -> None:
    session.run({"b": A + 1, "a": A})
    np.testing.assert_array_equal(engine.given[0], A)
    np.testing.assert_array_equal(engine.given[1], A + 1)


@pytest.mark.parametrize(
    "x", [np.asfortranarray(A), np.repeat(A, 2, axis=1)[:, ::2], A[:, ::-1], A[::-1]]
)
def test_an_engine_sees_contiguous_arrays_only(
    session: Session, engine: Recorder, x: np.ndarray
) -> None:
    session.run({"a": x, "b": x})
    for given in engine.given:
        assert given.flags.c_contiguous
        np.testing.assert_array_equal(given, x)


def test_nothing_reaches_the_engine_unless_all_is_right(session: Session, engine: Recorder) -> None:
    for wrong in ({"a": A}, {"a": A, "b": A[:, :2]}, {"a": A, "b": A, "c": A}):
        with pytest.raises(UsageError):
            session.run(wrong)
    assert engine.given == []


def test_the_engine_is_closed_once(session: Session, engine: Recorder) -> None:
    with session:
        session.run({"a": A, "b": A})
    session.close()
    assert engine.closed == 1
