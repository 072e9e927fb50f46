"""Every backend, by one suite: what a session may rely on, whatever engine runs below it.

A new backend is added to ``engines.py``; it needs no test of its own to be held to all of this.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from engines import ENGINES, HERE, Engine, refusal
from tiny_models import REAL, X_SCALE, Y_SCALE, affine, artifact

import edge_sdk
from edge_sdk import UnavailableError, UsageError
from edge_sdk.backends import MODULES, backend
from edge_sdk.backends.delegates import NAMES
from edge_sdk.spec import TensorSpec

Load = Callable[..., edge_sdk.Session]

X = np.array([[1, -2, 3, 0.5]], np.float32)


@pytest.fixture(params=HERE.values(), ids=HERE.keys())
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture
def model(engine: Engine, tmp_path: Path) -> Path:
    return written(tmp_path, engine, engine.affine(1))


@pytest.fixture
def load(engine: Engine) -> Load:
    """``edge_sdk.load`` with the engine under test."""
    return partial(edge_sdk.load, backend=engine.name)


@pytest.fixture
def session(load: Load, model: Path) -> Iterator[edge_sdk.Session]:
    with load(model) as session:
        yield session


def written(folder: Path, engine: Engine, data: bytes) -> Path:
    path = folder / f"model{engine.suffix}"
    path.write_bytes(data)
    return path


def usable(session: edge_sdk.Session) -> bool:
    return np.allclose(session.run({"x": X})["y"], affine(X))


def test_every_backend_is_tested_here() -> None:
    assert set(ENGINES) | {"coreml"} == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_one_that_cannot_be_had_says_why_and_how_to_get_it(name: str) -> None:
    error = refusal(name)
    assert (name in HERE) is (error is None)
    if error is not None:
        assert error.message
        assert error.hint


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML is here")
def test_core_ml_is_refused_for_the_right_reason() -> None:
    error = refusal("coreml")
    assert error is not None
    assert "Apple systems only" in error.message
    assert "tflite or onnx" in error.hint


# What it says of a model


def test_signature(session: edge_sdk.Session) -> None:
    assert session.signature.inputs == (TensorSpec(name="x", dtype="float32", shape=(1, 4)),)
    assert session.signature.outputs == (TensorSpec(name="y", dtype="float32", shape=(1, 3)),)


def test_a_length_that_is_open_has_a_name(load: Load, engine: Engine, tmp_path: Path) -> None:
    with load(written(tmp_path, engine, engine.affine(-1))) as session:
        (x,) = session.signature.inputs
    assert isinstance(x.shape[0], str)
    assert x.shape[0]
    assert x.shape[1] == 4


def test_placement_accounts_for_every_operation(session: edge_sdk.Session, engine: Engine) -> None:
    placement = session.placement
    assert placement.backend == engine.name
    assert placement.backend_version == backend(engine.name).version()
    assert placement.requested == ()
    assert placement.actual
    if engine.counts_operations:
        assert placement.operations == 2
        assert sum(attempt.operations or 0 for attempt in placement.attempts) == 2
    else:
        assert placement.operations is None


# Running


def test_run(session: edge_sdk.Session) -> None:
    outputs = session.run({"x": X})
    assert list(outputs) == ["y"]
    np.testing.assert_allclose(outputs["y"], affine(X), rtol=1e-6)
    assert outputs["y"].dtype == np.float32


def test_outputs_belong_to_the_caller(session: edge_sdk.Session) -> None:
    first = session.run({"x": X})["y"]
    kept = first.copy()
    second = session.run({"x": 2 * X})["y"]
    np.testing.assert_array_equal(first, kept)
    second[:] = np.nan
    assert usable(session)


def test_inputs_are_left_alone(session: edge_sdk.Session) -> None:
    x = X.copy()
    x.flags.writeable = False
    session.run({"x": x})
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize(
    "x",
    [
        np.asfortranarray(np.tile(X, (2, 1)))[:1],
        np.repeat(X, 2, axis=1)[:, ::2],
        X[:, ::-1][:, ::-1],
        X.ravel()[::-1].copy()[::-1].reshape(1, 4),
        np.broadcast_to(X[:, :1], (1, 4)),
    ],
    ids=["fortran", "strided", "twice reversed", "reversed", "broadcast"],
)
def test_layout_in_memory_does_not_matter(session: edge_sdk.Session, x: np.ndarray) -> None:
    np.testing.assert_allclose(session.run({"x": x})["y"], affine(x), rtol=1e-6)


def test_open_lengths_take_what_comes(load: Load, engine: Engine, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with load(written(tmp_path, engine, engine.affine(-1))) as session:
        for rows in (1, 5, 2, 64, 1):
            x = rng.random((rows, 4), np.float32)
            np.testing.assert_allclose(session.run({"x": x})["y"], affine(x), rtol=1e-5)
        if engine.counts_operations:
            placement = session.placement
            assert sum(attempt.operations or 0 for attempt in placement.attempts) == 2


def test_several_open_lengths_change_at_once(load: Load, engine: Engine, tmp_path: Path) -> None:
    a, b = np.float32([[1, 2, 3, 4]]), np.float32([[10, 20, 30, 40]])
    with load(written(tmp_path, engine, engine.sum())) as session:
        for rows in (1, 5, 3):
            inputs = {"a": np.tile(a, (rows, 1)), "b": np.tile(b, (rows, 1))}
            np.testing.assert_array_equal(session.run(inputs)["y"], np.tile(a + b, (rows, 1)))


def test_what_the_engine_refuses_is_an_error_of_ours(
    load: Load, engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    a, one = np.ones((3, 4), np.float32), np.ones((1, 4), np.float32)
    with load(written(tmp_path, engine, engine.sum())) as session:
        session.run({"a": one, "b": one})
        capfd.readouterr()
        with pytest.raises(UsageError, match="cannot run the model on these inputs"):
            session.run({"a": a, "b": np.ones((2, 4), np.float32)})
        assert capfd.readouterr().err == ""
        np.testing.assert_array_equal(session.run({"a": one, "b": one})["y"], one + one)
        np.testing.assert_array_equal(session.run({"a": a, "b": a})["y"], a + a)


def test_no_rows_are_answered_by_none_or_refused(
    load: Load, engine: Engine, tmp_path: Path
) -> None:
    none = np.zeros((0, 4), np.float32)
    with load(written(tmp_path, engine, engine.affine(-1))) as session:
        assert usable(session)
        if engine.name == "litert-compiled":
            with pytest.raises(UsageError, match="Dimensions must be positive"):
                session.run({"x": none})
        else:
            assert session.run({"x": none})["y"].shape == (0, 3)
        assert usable(session)


def test_a_length_that_only_running_tells(load: Load, engine: Engine, tmp_path: Path) -> None:
    path = written(tmp_path, engine, engine.positions())
    if engine.name == "litert-compiled":
        with pytest.raises(UnavailableError, match="shape of 'y' depends on the values") as caught:
            load(path)
        assert "backend='litert'" in caught.value.hint
        return
    with load(path) as session:
        for x in (X, -np.abs(X), np.abs(X), X):
            np.testing.assert_array_equal(session.run({"x": x})["y"], np.argwhere(x > 0))


def test_what_is_input_and_output_at_once(load: Load, engine: Engine, tmp_path: Path) -> None:
    path = written(tmp_path, engine, engine.handed_on())
    if engine.name == "litert-compiled":
        with pytest.raises(UnavailableError, match="'x' of the model is an input and an output"):
            load(path)
        return
    with load(path) as session:
        given = X.copy()
        outputs = session.run({"x": given})
        np.testing.assert_array_equal(outputs["y"], -X)
        np.testing.assert_array_equal(outputs["x"], X)
        outputs["x"][:] = 0
        np.testing.assert_array_equal(given, X)  # what comes out is the caller's, and a copy


@pytest.mark.parametrize("threads", [1, 2])
def test_threads(load: Load, model: Path, threads: int) -> None:
    with load(model, threads=threads) as session:
        assert session.placement.threads == threads
        assert usable(session)


def test_sessions_do_not_disturb_each_other(load: Load, model: Path) -> None:
    with load(model) as one, load(model) as other:
        y = one.run({"x": X})["y"]
        other.run({"x": 3 * X})
        np.testing.assert_array_equal(one.run({"x": X})["y"], y)


# Wrong inputs


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"x": X.astype(np.float64)}, "dtype float64; the model takes float32"),
        ({"x": X.astype(">f4")}, "dtype >f4"),
        ({"x": X[0]}, "shape 4; the model takes 1x4"),
        ({"x": np.zeros((1, 5), np.float32)}, "shape 1x5"),
        ({"x": np.zeros((2, 4), np.float32)}, "shape 2x4"),
        ({"x": np.float32(1)}, "float32, not an array"),
        ({"x": X.tolist()}, "list, not an array"),
        ({"x": None}, "NoneType, not an array"),
        ({"x": np.ma.masked_array(X, X > 0)}, "is a masked array"),
        ({"x": X.astype(object)}, "dtype object"),
        ({"x": X.astype(str)}, "dtype <U"),
        ({1: X}, "no input 1"),
        ({}, "'x' is missing"),
        ({"X": X}, "no input 'X'"),
        ({"x": X, "z": X}, "no input 'z'"),
        (X, "ndarray, not a mapping"),
        ([X], "list, not a mapping"),
        (None, "NoneType, not a mapping"),
    ],
)
def test_wrong_inputs_are_named_and_the_session_stays_usable(
    session: edge_sdk.Session, inputs: object, says: str
) -> None:
    with pytest.raises(UsageError) as caught:
        session.run(inputs)  # type: ignore[arg-type]
    assert says in caught.value.message
    assert caught.value.hint
    assert usable(session)


# Wrong files


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"This is a text file, whatever it is called.\n" * 20,
        lambda data: b"\0" * 4096,
        lambda data: data[:1],
        lambda data: data[: len(data) // 3],
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
    ],
    ids=["empty", "text", "zeros", "one byte", "a third", "half", "all but one byte"],
)
def test_what_is_no_model_is_refused(
    load: Load, engine: Engine, tmp_path: Path, spoil: object
) -> None:
    path = written(tmp_path, engine, spoil(engine.affine(1)))  # type: ignore[operator]
    with pytest.raises(UsageError) as caught:
        load(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    "other", [ENGINES["litert"], ENGINES["onnxruntime"]], ids=["tflite", "onnx"]
)
def test_another_format_under_this_name_is_refused(
    load: Load, engine: Engine, other: Engine, tmp_path: Path
) -> None:
    if other.suffix == engine.suffix:
        path = tmp_path / f"missing{engine.suffix}"
    else:
        path = written(tmp_path, engine, other.affine(1))
    with pytest.raises(UsageError, match=r"missing|model"):
        load(path)


def test_an_operation_that_the_engine_lacks_is_named(
    load: Load, engine: Engine, tmp_path: Path
) -> None:
    with pytest.raises(UnavailableError, match="Frobnicate") as caught:
        load(written(tmp_path, engine, engine.unknown()))
    assert caught.value.hint


def test_a_backend_that_does_not_read_the_file_is_refused(engine: Engine, model: Path) -> None:
    other = next(each.name for each in ENGINES.values() if each.suffix != engine.suffix)
    with pytest.raises(UsageError, match=f"'{other}' does not run") as caught:
        edge_sdk.load(model, backend=other)
    assert engine.name in caught.value.hint


# Delegates


@pytest.mark.parametrize("name", ["xnpack", "GPU", "", "cudaa"])
def test_an_unknown_delegate_is_a_mistake(load: Load, model: Path, name: str) -> None:
    with pytest.raises(UsageError, match="There is no delegate") as caught:
        load(model, delegates=[name])
    assert caught.value.hint


def test_the_nearest_delegate_is_offered(load: Load, model: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(model, delegates=["xnpack"])
    assert "Did you mean 'xnnpack'?" in caught.value.hint


def test_a_text_is_no_list_of_delegates(load: Load, model: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(model, delegates="gpu,cpu")
    assert "['gpu', 'cpu']" in caught.value.hint


def test_delegates_on_offer_are_known_by_name(engine: Engine) -> None:
    offered = backend(engine.name).delegates()
    assert "cpu" in offered
    assert set(offered) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_delegate_is_active_or_refused_with_a_reason(
    load: Load, engine: Engine, model: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    offered = name in backend(engine.name).delegates()
    with load(model, delegates=[name, "cpu"]) as session:
        placement = session.placement
        assert usable(session)
    assert placement.requested == tuple(dict.fromkeys((name, "cpu")))
    assert (name in placement.actual) is offered
    if not offered:
        (refused,) = placement.refused
        assert refused.delegate == name
        assert refused.reason
        assert refused.operations in (0, None)
        assert capfd.readouterr().err == ""


def test_what_comes_after_the_engines_own_kernels_is_not_tried(
    load: Load, engine: Engine, model: Path, tmp_path: Path
) -> None:
    missing = str(tmp_path / "missing.so")
    with load(model, delegates=["cpu", missing]) as session:
        (refused,) = session.placement.refused
        assert session.placement.actual == ("cpu",)
        assert usable(session)
    assert refused.delegate == missing
    if engine.name != "onnxruntime":  # which loads none wherever it stands
        assert refused.reason == "an earlier delegate of the list is active"


@pytest.mark.parametrize("entry", [None, 3, b"gpu", ["gpu"]], ids=repr)
def test_a_delegate_that_is_no_text(load: Load, model: Path, entry: object) -> None:
    with pytest.raises(UsageError, match="A delegate is a name or a path, not") as caught:
        load(model, delegates=[entry])
    assert "xnnpack" in caught.value.hint


def test_strict_refuses_what_is_not_active(load: Load, engine: Engine, model: Path) -> None:
    with pytest.raises(UnavailableError, match=r"'tensorrt' is not active: .+") as caught:
        load(model, delegates=["tensorrt", "cpu"], strict=True)
    assert caught.value.hint


def test_strict_is_content_with_what_was_asked_for(load: Load, engine: Engine, model: Path) -> None:
    with load(model, delegates=["cpu"], strict=True) as session:
        assert session.placement.actual == ("cpu",)
        assert usable(session)


def test_an_external_library_that_is_not_there_is_refused(
    load: Load, engine: Engine, model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    library = str(tmp_path / "missing.so")
    with load(model, delegates=[library, "cpu"]) as session:
        (refused,) = session.placement.refused
        assert usable(session)
    assert refused.delegate == library
    assert refused.reason
    assert capfd.readouterr().err == ""


# The end


def test_a_closed_session_says_so(load: Load, model: Path) -> None:
    session = load(model)
    session.close()
    session.close()
    with pytest.raises(UsageError, match="closed"):
        session.run({"x": X})
    with pytest.raises(UsageError, match="closed"):
        _ = session.placement


# Quantized builds, fed by what the original takes


@pytest.fixture
def quantized(engine: Engine, tmp_path: Path) -> Path:
    """An artifact whose signature is in real numbers and whose only build is int8."""
    variant = f"{engine.suffix[1:]}-int8"
    return artifact(tmp_path / "tiny-1.0.0.edge", {variant: engine.quantized()}, REAL)


def by_hand(x: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x / np.float32(X_SCALE.scale)) + X_SCALE.zero_point, -128, 127).astype(
        np.int8
    )


def test_real_numbers_are_quantized_and_answers_are_real(load: Load, quantized: Path) -> None:
    with load(quantized) as session:
        y = session.run({"x": X})["y"]
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, affine(X), atol=Y_SCALE.scale / 2 + 0.2)


def test_quantizing_is_what_one_would_do_by_hand(load: Load, quantized: Path) -> None:
    rng = np.random.default_rng(1)
    with load(quantized) as session, load(quantized, raw=True) as raw:
        for _ in range(20):
            x = rng.uniform(-8, 8, (1, 4)).astype(np.float32)
            outputs = session.run({"x": x})["y"]
            integers = raw.run({"x": by_hand(x)})["y"]
            assert integers.dtype == np.int8
            np.testing.assert_array_equal(session.run({"x": by_hand(x)})["y"], outputs)
            np.testing.assert_array_equal(raw.run({"x": x})["y"], integers)
            expected = (integers.astype(np.float32) - Y_SCALE.zero_point) * Y_SCALE.scale
            np.testing.assert_allclose(outputs, expected, rtol=1e-6)


def test_numbers_out_of_range_are_clipped(load: Load, quantized: Path) -> None:
    far = np.float32([[1e6, -1e6, 1e6, -1e6]])
    assert by_hand(far).tolist() == [[127, -128, 127, -128]]
    with load(quantized) as session:
        np.testing.assert_array_equal(
            session.run({"x": far})["y"], session.run({"x": by_hand(far)})["y"]
        )


def test_other_integers_are_refused(load: Load, quantized: Path) -> None:
    with load(quantized) as session:
        with pytest.raises(UsageError, match="uint8; the model takes float32 or int8"):
            session.run({"x": X.astype(np.uint8)})
        session.run({"x": X})
