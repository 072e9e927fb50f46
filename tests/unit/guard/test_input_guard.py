"""What no model should be asked about is refused by its reason, counted, and told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.guard import InputGuard, RefusedInput, read_limits
from edge_sdk.spec import InputLimits
from tests.planted_pictures import picture, planted, session
from tests.tiny_models import onnx_affine, tflite_quantized

X = np.array([[1, -2, 3, 0.5]], np.float32)


@pytest.fixture
def arrays(tmp_path: Path):
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    with edge_sdk.load(tmp_path / "affine.onnx") as loaded:
        yield loaded


@pytest.fixture
def pictures(tmp_path: Path):
    with session(planted(tmp_path / "m.onnx")) as loaded:
        yield loaded


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def with_number(value: float) -> dict[str, np.ndarray]:
    x = X.copy()
    x[0, 2] = value
    return {"x": x}


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        (with_number(3), None),
        (with_number(10), None),
        (with_number(-5), None),
        (with_number(10.01), "out of range: x"),
        (with_number(-999), "out of range: x"),
        (with_number(np.nan), "not finite: x"),
        (with_number(np.inf), "not finite: x"),
        ({"x": X[:, :3]}, "does not fit"),
        ({"x": X.astype(int)}, "does not fit"),
        ({"y": X}, "does not fit"),
        ({}, "does not fit"),
        ({"x": [1, 2, 3, 4]}, "does not fit"),
        (X, "does not fit"),
    ],
    ids=[
        *("inside", "greatest", "least", "above", "sentinel", "nan", "inf", "shape", "dtype"),
        *("name", "missing", "list", "no-mapping"),
    ],
)
def test_declared_ranges_and_shapes(
    arrays: edge_sdk.Session, inputs: object, reason: str | None
) -> None:
    guard = InputGuard(arrays, InputLimits(ranges={"x": (-5, 10)}))
    if reason is None:
        assert guard.predict(inputs)["y"].shape == (1, 3)
        assert str(guard.report()) == "1 passed, 0 refused"
        return
    with pytest.raises(RefusedInput) as caught:
        guard.predict(inputs)
    assert caught.value.reason == reason
    assert caught.value.exit_code == 2
    assert guard.report().refused == {reason: 1}
    assert guard.report().passed == 0


def test_what_the_session_says_of_a_misfit_is_kept(arrays: edge_sdk.Session) -> None:
    with pytest.raises(RefusedInput, match="has shape 1x3; the model takes 1x4"):
        InputGuard(arrays, InputLimits()).predict({"x": X[:, :3]})


def test_a_range_refuses_nan_even_where_it_may_pass(arrays: edge_sdk.Session) -> None:
    guard = InputGuard(arrays, InputLimits(ranges={"x": (-5, 10)}, finite=False))
    with pytest.raises(RefusedInput, match="out of range"):
        guard.predict(with_number(np.nan))
    open_guard = InputGuard(arrays, InputLimits(finite=False))
    assert np.isnan(open_guard.predict(with_number(np.nan))["y"]).any()


def test_a_range_of_a_quantized_build_is_in_real_numbers(tmp_path: Path) -> None:
    (tmp_path / "q.tflite").write_bytes(tflite_quantized())
    with edge_sdk.load(tmp_path / "q.tflite") as quantized:
        guard = InputGuard(quantized, InputLimits(ranges={"x": (-100, 100)}))
        guard.predict({"x": np.full((1, 4), 3, np.int8)})
        with pytest.raises(RefusedInput, match="out of range: x"):
            guard.predict({"x": np.full((1, 4), 120, np.int8)})


def test_pictures_are_looked_at_and_counted(pictures: edge_sdk.Session) -> None:
    guard = InputGuard(pictures, InputLimits(min_luma=20, max_luma=240, min_size=(16, 16)))
    wrong = {
        "blank": np.full((32, 32, 3), 90, np.uint8),
        "dark": picture() // 12,
        "bright": 255 - picture() // 20,
        "too small": picture()[:12, 10:22],
        "does not fit": picture().astype(np.float32),
    }
    for frame in wrong.values():
        with pytest.raises(RefusedInput):
            guard.predict(frame)
    assert guard.predict(picture()).top[0].label == "lit"
    assert guard.report().refused == dict.fromkeys(wrong, 1)
    assert "1 passed, 5 refused: 1 blank, 1 dark" in str(guard.report())


def test_the_rate_is_kept_for_each_stream(pictures: edge_sdk.Session) -> None:
    clock = Clock()
    guard = InputGuard(pictures, InputLimits(most_per_s=2), clock=clock)
    answered = {"door": 0, "yard": 0}
    for _ in range(40):
        for stream in answered:
            try:
                guard.predict(picture(), stream=stream)
                answered[stream] += 1
            except RefusedInput as refused:
                assert refused.reason == "too many a second"
        clock.now += 0.1
    assert answered == {"door": 8, "yard": 8}
    assert guard.report().refused == {"too many a second": 64}


def test_a_refused_input_takes_no_token(pictures: edge_sdk.Session) -> None:
    guard = InputGuard(pictures, InputLimits(most_per_s=1), clock=Clock())
    with pytest.raises(RefusedInput, match="blank"):
        guard.predict(np.full((32, 32, 3), 90, np.uint8))
    guard.predict(picture())


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (InputLimits(ranges={"z": (0, 1)}), "no input 'z'"),
        (InputLimits(ranges={"x": (1, 0)}), "Nothing is between 1 and 0"),
        (InputLimits(ranges={"x": (0, float("nan"))}), "Nothing is between"),
        (InputLimits(min_luma=9, max_luma=3), "No picture can pass"),
        (InputLimits(min_size=(9, 9), max_size=(8, 8)), "No picture can pass"),
        (InputLimits(most_per_s=0), "No picture can pass"),
    ],
    ids=["name", "range", "nan", "luma", "size", "rate"],
)
def test_limits_that_nothing_passes(
    arrays: edge_sdk.Session, limits: InputLimits, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        InputGuard(arrays, limits)


def test_a_range_of_a_picture(pictures: edge_sdk.Session) -> None:
    with pytest.raises(UsageError, match="takes pictures"):
        InputGuard(pictures, InputLimits(ranges={"image": (0, 1)}))


def test_a_file_of_limits(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text("min_luma = 20\nmost_per_s = 5\n[ranges]\nx = [-5, 10]\n")
    assert read_limits(path) == InputLimits(min_luma=20, most_per_s=5, ranges={"x": (-5, 10)})
    for text, says in (
        ("min_lumma = 3", "Did you mean 'min_luma'"),
        ("min_luma = 'low'", "min_luma: expected `float`"),
        ("[ranges]\nx = [1]", "ranges"),
        ("max_burnt = -1", "No picture can pass"),
        ("min_luma = ", "is not TOML"),
    ):
        path.write_text(text)
        with pytest.raises(UsageError) as caught:
            read_limits(path)
        assert says in str(caught.value)
    with pytest.raises(UsageError, match="cannot be read"):
        read_limits(tmp_path / "none.toml")
