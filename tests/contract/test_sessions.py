"""Sessions on every backend: batches, calls run ahead, threads, states, entry points, NaN refused.

The suite of ``test_backends.py`` goes on here, for what is more than one call at a time.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engines import HERE, Engine
from tiny_models import REAL, START, affine, artifact, tflite_counter, tflite_two_entries

import edge_sdk
from edge_sdk import UnavailableError, UsageError
from edge_sdk.backends import backend
from edge_sdk.runtime.session import MAX_PENDING

Open = Callable[..., edge_sdk.Session]

X = np.array([[1, -2, 3, 0.5]], np.float32)
ONE = np.ones((1, 4), np.float32)
STATEFUL = [engine for engine in HERE.values() if engine.keeps_state]


@pytest.fixture(params=HERE.values(), ids=HERE.keys())
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture
def opened(engine: Engine, tmp_path: Path) -> Open:
    return partial(opened_in, tmp_path, engine)


def opened_in(folder: Path, engine: Engine, data: bytes, **options: Any) -> edge_sdk.Session:
    path = folder / f"model{engine.suffix}"
    path.write_bytes(data)
    return edge_sdk.load(path, backend=engine.name, **options)


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(count).standard_normal((count, 4)).astype(np.float32)


# Batches


@pytest.mark.parametrize("built_for", [1, 3, -1])
def test_any_number_of_rows(opened: Open, engine: Engine, built_for: int) -> None:
    with opened(engine.affine(built_for)) as session:
        for count in (1, 2, 3, 7):
            x = rows(count)
            found = session.run_batch({"x": x}, rows=None if count < 7 else 4)["y"]
            assert found.shape == (count, 3)
            np.testing.assert_allclose(found, affine(x), rtol=1e-5, atol=1e-5)


def test_whole_inputs_with_an_axis_before_them(opened: Open, engine: Engine) -> None:
    x = rows(6).reshape(2, 3, 4)
    with opened(engine.affine(3)) as session:
        found = session.run_batch({"x": x})["y"]
    np.testing.assert_allclose(found, affine(x), rtol=1e-5, atol=1e-5)


def test_a_quantized_batch_is_fed_and_read_in_real_numbers(engine: Engine, tmp_path: Path) -> None:
    variant = f"{engine.suffix[1:]}-int8"
    path = artifact(tmp_path / "a.edge", {variant: engine.quantized()}, REAL)
    with edge_sdk.load(path, backend=engine.name) as session:
        x = rows(3)
        found = session.run_batch({"x": x})["y"]
        one_by_one = [session.run({"x": row[None]})["y"] for row in x]
    np.testing.assert_array_equal(found, np.concatenate(one_by_one))


@pytest.mark.parametrize(
    ("inputs", "rows_at_once", "says"),
    [
        ({"a": rows(2), "b": rows(3)}, None, "differ in their number of rows: a 2, b 3"),
        ({"a": rows(0), "b": rows(0)}, None, "no rows in the inputs"),
        ({"a": rows(2), "b": rows(2)}, 0, "0 rows at once are too few"),
        ({"a": rows(2)}, None, "'b' is missing"),
        ({"a": rows(2), "b": [1]}, None, "list, not an array"),
    ],
)
def test_batches_that_are_none(
    opened: Open, engine: Engine, inputs: Any, rows_at_once: int | None, says: str
) -> None:
    with opened(engine.sum()) as session:
        with pytest.raises(UsageError, match=says) as caught:
            session.run_batch(inputs, rows=rows_at_once)
        assert caught.value.hint
        np.testing.assert_array_equal(session.run({"a": ONE, "b": ONE})["y"], ONE + ONE)


# Ahead


def test_calls_ahead_are_answered_in_order(opened: Open, engine: Engine) -> None:
    with opened(engine.affine(1)) as session:
        xs = [X + n for n in range(20)]
        futures = [session.run_async({"x": x}) for x in xs]
        for x, future in zip(xs, futures, strict=True):
            np.testing.assert_allclose(future.result(10)["y"], affine(x), rtol=1e-5)


def test_an_error_is_the_futures(opened: Open, engine: Engine) -> None:
    with opened(engine.affine(1)) as session:
        assert isinstance(session.run_async({"x": X[0]}).exception(10), UsageError)
        np.testing.assert_allclose(session.run_async({"x": X}).result(10)["y"], affine(X))


def test_asyncio_can_wait_for_it(opened: Open, engine: Engine) -> None:
    async def ask(session: edge_sdk.Session) -> Any:
        return await asyncio.wrap_future(session.run_async({"x": X}))

    with opened(engine.affine(1)) as session:
        np.testing.assert_allclose(asyncio.run(ask(session))["y"], affine(X), rtol=1e-6)


# Threads


def test_many_threads_get_their_own_answers(opened: Open, engine: Engine) -> None:
    wrong: list[str] = []

    def ask(session: edge_sdk.Session, seed: int) -> None:
        x = np.random.default_rng(seed).random((1, 4), np.float32)
        expected = affine(x)
        answers = [session.run({"x": x})["y"] for _ in range(150)]
        wrong.extend(f"thread {seed}" for y in answers if not np.allclose(y, expected, rtol=1e-5))

    often = sys.getswitchinterval()
    with opened(engine.affine(1), threads=1) as session:
        threads = [threading.Thread(target=ask, args=(session, seed)) for seed in range(8)]
        sys.setswitchinterval(1e-6)  # between any two steps of a call
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(often)
    assert wrong == []


def test_many_threads_with_shapes_of_their_own(opened: Open, engine: Engine) -> None:
    wrong: list[int] = []

    def ask(session: edge_sdk.Session, count: int) -> None:
        x = rows(count)
        answers = [session.run({"x": x})["y"] for _ in range(40)]
        wrong.extend(count for y in answers if not np.allclose(y, affine(x), atol=1e-4))

    with opened(engine.affine(-1), threads=1) as session:
        threads = [threading.Thread(target=ask, args=(session, count)) for count in range(1, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def longest_stall(session: edge_sdk.Session) -> tuple[float, float]:
    """Of another thread that only counts, during one call; and how long the call took."""
    moments: list[float] = []
    stop = threading.Event()

    def count() -> None:
        while not stop.is_set():
            moments.append(time.perf_counter())

    thread = threading.Thread(target=count)
    thread.start()
    x = np.full((256, 256), 1 / 256, np.float32)
    time.sleep(0.02)
    start = time.perf_counter()
    session.run({"x": x})
    end = time.perf_counter()
    time.sleep(0.02)
    stop.set()
    thread.join()
    stalls = [b - a for a, b in pairwise(moments) if b > start and a < end]
    return max(stalls), end - start


def test_python_goes_on_while_the_engine_computes(opened: Open, engine: Engine) -> None:
    """Held, the lock stops the other thread for the whole call; so may a busy machine, at times."""
    with opened(engine.matrices(100), threads=1) as session:
        session.run({"x": np.zeros((256, 256), np.float32)})
        measured = [longest_stall(session) for _ in range(5)]
    assert min(call for _, call in measured) > 0.02
    free = [stall < 0.6 * call for stall, call in measured]
    assert any(free) if engine.lets_go else not all(free), f"stalls and calls: {measured}"
    assert backend(engine.name).holds_lock(()) is not engine.lets_go


def test_closing_waits_for_who_is_inside(opened: Open, engine: Engine) -> None:
    session = opened(engine.matrices(40), threads=1)
    x = np.full((256, 256), 1 / 256, np.float32)
    futures = [session.run_async({"x": x}) for _ in range(MAX_PENDING)]
    while not futures[0].running() and not futures[0].done():
        time.sleep(0.001)
    session.close()
    np.testing.assert_allclose(futures[0].result(0)["y"], x, rtol=1e-3)
    assert futures[-1].cancelled()
    with pytest.raises(UsageError, match="closed"):
        session.run_async({"x": x})


def test_who_is_about_to_run_as_it_is_closed_is_told(opened: Open, engine: Engine) -> None:
    told: list[Exception] = []

    def ask(session: edge_sdk.Session) -> None:
        while True:
            try:
                session.run({"x": X})
            except Exception as error:  # noqa: BLE001 - whatever it is told
                told.append(error)
                return

    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            session = opened(engine.affine(1), threads=1)
            threads = [threading.Thread(target=ask, args=(session,)) for _ in range(4)]
            threads += [threading.Thread(target=session.close) for _ in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        sys.setswitchinterval(often)
    assert len(told) == 80
    assert {type(error) for error in told} == {UsageError}
    assert all("closed" in str(error) for error in told)


def test_closing_from_a_futures_own_callback(opened: Open, engine: Engine) -> None:
    session = opened(engine.matrices(40), threads=1)
    ended: list[object] = []
    x = np.full((256, 256), 1 / 256, np.float32)

    def close(_: object) -> None:
        try:
            ended.append(session.close())
        except Exception as error:  # noqa: BLE001 - whatever it is told
            ended.append(error)

    first = session.run_async({"x": x})
    first.add_done_callback(close)
    np.testing.assert_allclose(first.result(30)["y"], x, rtol=1e-3)
    deadline = time.monotonic() + 10
    while not ended and time.monotonic() < deadline:
        time.sleep(0.001)
    assert ended == [None]
    with pytest.raises(UsageError, match="closed"):
        session.run({"x": x})


def test_a_call_that_waits_can_be_cancelled(opened: Open, engine: Engine) -> None:
    x = np.full((256, 256), 1 / 256, np.float32)
    with opened(engine.matrices(40), threads=1) as session:
        futures = [session.run_async({"x": x}) for _ in range(MAX_PENDING)]
        assert futures[-1].cancel()
        assert futures[-1].cancelled()
        for future in futures[:-1]:
            np.testing.assert_allclose(future.result(30)["y"], x, rtol=1e-3)
        for _ in range(2 * MAX_PENDING):  # its room was given back
            session.run_async({"x": x}, wait=True)


def test_there_is_room_for_so_many(opened: Open, engine: Engine) -> None:
    x = np.full((256, 256), 1 / 256, np.float32)
    with opened(engine.matrices(40), threads=1) as session:
        for _ in range(MAX_PENDING):
            session.run_async({"x": x})
        with pytest.raises(UnavailableError, match=f"{MAX_PENDING} calls are under way") as caught:
            for _ in range(MAX_PENDING):  # by and by one comes to its end
                session.run_async({"x": x}, wait=False)
        assert caught.value.hint
        assert session.run_async({"x": x}).result(30)["y"].shape == (256, 256)


# Shapes


def test_resized_only_when_they_change(engine: Engine, opened: Open) -> None:
    if not engine.name.startswith(("litert", "tflite", "tensorflow")):
        pytest.skip("this engine takes any shape as it comes")
    with opened(engine.affine(-1)) as session:
        model: Any = session._model
        resized: list[Any] = []
        fit = model._fit if engine.name == "litert-compiled" else model._allocate

        def counted(*args: Any) -> None:
            resized.append(args)
            fit(*args)

        if engine.name == "litert-compiled":
            model._fit = counted
        else:
            model._allocate = counted
        for count in (2, 2, 2, 5, 5, 2, 2):
            x = rows(count)
            np.testing.assert_allclose(session.run({"x": x})["y"], affine(x), rtol=1e-4, atol=1e-4)
    assert len(resized) == 3


# NaN


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_where_asked(
    opened: Open, engine: Engine, bad: float
) -> None:
    x = X.copy()
    x[0, 2] = bad
    with opened(engine.affine(1)) as session:
        assert not np.isfinite(session.run({"x": x})["y"]).all()
    with opened(engine.affine(1), finite=True) as session:
        with pytest.raises(UsageError, match="'x' holds a NaN or an infinity") as caught:
            session.run({"x": x})
        assert caught.value.hint
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)


# A state, and several entry points


@pytest.mark.parametrize("engine", STATEFUL, ids=lambda engine: engine.name)
def test_a_state_lasts_until_it_is_reset(engine: Engine, tmp_path: Path) -> None:
    with opened_in(tmp_path, engine, tflite_counter()) as session:
        for time_ in (1, 2, 3):
            np.testing.assert_array_equal(session.run({"x": ONE})["y"], START + time_)
        session.reset()
        np.testing.assert_array_equal(session.run({"x": ONE})["y"], START + 1)
        session.warm_up()
        np.testing.assert_array_equal(session.run({"x": ONE})["y"], START + 1)


@pytest.mark.parametrize("engine", STATEFUL, ids=lambda engine: engine.name)
@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "removed"])
def test_a_file_that_is_replaced_does_not_take_the_models_place(
    engine: Engine, tmp_path: Path, replaced: bool
) -> None:
    """A reset reads a stateful model anew: not the one that an update has put there meanwhile."""
    with opened_in(tmp_path, engine, tflite_counter()) as session:
        session.run({"x": ONE})
        path = tmp_path / f"model{engine.suffix}"
        path.unlink()
        if replaced:
            path.write_bytes(tflite_two_entries())
        with pytest.raises(UnavailableError, match="no longer the file that was loaded") as caught:
            session.reset()
        assert "load" in caught.value.hint
        np.testing.assert_array_equal(session.run({"x": ONE})["y"], START + 2)


@pytest.mark.parametrize("engine", STATEFUL, ids=lambda engine: engine.name)
def test_entry_points_share_the_state(engine: Engine, tmp_path: Path) -> None:
    with opened_in(tmp_path, engine, tflite_counter(), finite=True) as session:
        assert session.signatures == ("add", "scaled")
        assert session.entry("add") is session
        scaled = session.entry("scaled")
        np.testing.assert_array_equal(scaled.run({"x": 2 * ONE})["y"], 2 * START)
        session.run({"x": ONE})
        np.testing.assert_array_equal(scaled.run({"x": 2 * ONE})["y"], 2 * (START + 1))
        session.reset()
        np.testing.assert_array_equal(scaled.run({"x": ONE})["y"], START)
        with pytest.raises(UsageError, match="NaN"):
            scaled.run({"x": ONE * np.nan})
        with pytest.raises(UsageError, match="no signature 'scale'") as caught:
            session.entry("scale")
        assert "scaled" in caught.value.hint
    with pytest.raises(UsageError, match="closed"):
        scaled.run({"x": ONE})
    with pytest.raises(UsageError, match="closed"):
        session.entry("scaled")


@pytest.mark.parametrize("engine", STATEFUL, ids=lambda engine: engine.name)
def test_entry_points_have_lengths_of_their_own(engine: Engine, tmp_path: Path) -> None:
    with opened_in(tmp_path, engine, tflite_two_entries()) as session:
        size = session.entry("size")
        assert [tensor.name for tensor in size.signature.inputs] == ["a"]
        for count in (1, 3, 2):
            x = rows(count)
            np.testing.assert_array_equal(size.run({"a": x})["b"], np.abs(x))
            np.testing.assert_array_equal(session.run({"x": x[:1]})["y"], -x[:1])
        assert session.placement.operations == size.placement.operations == 1


@pytest.mark.parametrize("engine", STATEFUL, ids=lambda engine: engine.name)
def test_a_first_subgraph_without_a_signature(engine: Engine, tmp_path: Path) -> None:
    data = tflite_two_entries(first="")
    if engine.name == "litert-compiled":
        with pytest.raises(UnavailableError, match="first subgraph has no signature") as caught:
            opened_in(tmp_path, engine, data)
        assert "backend='litert'" in caught.value.hint
        return
    with opened_in(tmp_path, engine, data) as session:
        np.testing.assert_array_equal(session.run({"x": ONE})["y"], -ONE)
        np.testing.assert_array_equal(session.entry("size").run({"a": -ONE})["b"], ONE)


@pytest.mark.parametrize("engine", STATEFUL, ids=lambda engine: engine.name)
def test_an_entry_point_ends_with_its_model(engine: Engine, tmp_path: Path) -> None:
    with opened_in(tmp_path, engine, tflite_counter()) as session:
        scaled = session.entry("scaled")
        scaled.run({"x": ONE})
    for ask in (
        lambda: scaled.run({"x": ONE}),
        lambda: scaled.run_async({"x": ONE}).result(10),
        lambda: scaled.placement,
        lambda: scaled.entry("add"),
        scaled.reset,
        scaled.warm_up,
    ):
        with pytest.raises(UsageError, match="closed") as caught:
            ask()
        assert "load" in caught.value.hint
    scaled.close()
    scaled.close()


def test_a_model_without_a_state_has_nothing_to_reset(opened: Open, engine: Engine) -> None:
    with opened(engine.affine(1)) as session:
        session.reset()
        session.warm_up()
        assert len(session.signatures) == 1
        np.testing.assert_allclose(session.run({"x": X})["y"], affine(X), rtol=1e-6)
