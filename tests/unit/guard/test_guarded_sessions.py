"""Limits hold wherever a session answers: its thin path, its batches, and what runs ahead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge_sdk
from edge_sdk.errors import UsageError
from edge_sdk.guard import RefusedInput, RefusedRows
from edge_sdk.spec import InputLimits
from tests.planted_pictures import picture, planted, session
from tests.tiny_models import affine, onnx_affine, tflite_quantized

LIMITS = InputLimits(ranges={"x": (-5, 10)})


def written(folder: Path, rows: int = 1) -> Path:
    path = folder / "affine.onnx"
    path.write_bytes(onnx_affine(rows))
    return path


def rows(*thirds: float) -> np.ndarray:
    """A row of 4 numbers for each, which is the third of them."""
    x = np.tile(np.array([1, -2, 3, 0.5], np.float32), (len(thirds), 1))
    x[:, 2] = thirds
    return x


def test_run_keeps_them_and_what_runs_ahead_does(tmp_path: Path) -> None:
    with edge_sdk.load(written(tmp_path), guard=LIMITS) as guarded:
        assert guarded.guard is not None
        assert guarded.run({"x": rows(3)})["y"].shape == (1, 3)
        with pytest.raises(RefusedInput, match="out of range: x"):
            guarded.run({"x": rows(99)})
        assert guarded.run_async({"x": rows(4)}).result()["y"].shape == (1, 3)
        with pytest.raises(RefusedInput, match="out of range: x"):
            guarded.run_async({"x": rows(99)}).result()
        guarded.warm_up()
        guarded.predict({"x": rows(3)})
        assert str(guarded.guard.report()) == "3 passed, 2 refused: 2 out of range: x"
    with edge_sdk.load(written(tmp_path), guard=False) as open_session:
        open_session.run({"x": rows(99)})


@pytest.mark.parametrize("built_for", [1, 4, -1], ids=["one", "four", "any"])
@pytest.mark.parametrize("apart", [False, True], ids=["rows", "whole-inputs"])
def test_a_batch_is_answered_but_for_the_rows_that_are_refused(
    tmp_path: Path, built_for: int, apart: bool
) -> None:
    x = rows(3, 99, -4, np.nan, 10, -5.1)
    if apart:
        x = np.repeat(x[:, None], max(built_for, 1), axis=1)
    with edge_sdk.load(written(tmp_path, built_for), guard=LIMITS) as guarded:
        with pytest.raises(RefusedRows) as caught:
            guarded.run_batch({"x": x})
        refused = caught.value
        assert refused.reasons == {
            1: "out of range: x",
            3: "not finite: x",
            5: "out of range: x",
        }
        assert refused.rows == (0, 2, 4)
        np.testing.assert_allclose(
            refused.outputs["y"].reshape(-1, 3)[:: max(built_for, 1) if apart else 1],
            affine(rows(3, -4, 10)),
            rtol=1e-5,
        )
        assert "3 of 6 rows were refused: out of range: x (row 1, 5); not finite" in str(refused)
        assert guarded.guard is not None
        assert guarded.guard.report().passed == 3
        assert guarded.guard.report().refused == {"out of range: x": 2, "not finite: x": 1}
        assert len(guarded.run_batch({"x": x[[0, 2, 4]]})["y"]) == 3
        with pytest.raises(RefusedRows) as caught:
            guarded.run_batch({"x": x[[1, 3]]})
        assert (caught.value.rows, caught.value.outputs) == ((), {})


def test_what_has_no_rows_is_said_as_ever(tmp_path: Path) -> None:
    with edge_sdk.load(written(tmp_path), guard=LIMITS) as guarded:
        for inputs, said in (
            ({"z": rows(1)}, "no input 'z'"),
            ({"x": rows(1)[:0]}, "There are no rows"),
            ({"x": rows(1).astype(int)}, "dtype int64"),
            ({"x": rows(1)[:, :2]}, "shape 1x2"),
            ([rows(1)], "not a mapping"),
        ):
            with pytest.raises(UsageError, match=said):
                guarded.run_batch(inputs)  # type: ignore[arg-type]


def test_rows_of_integers_are_turned_back_before_they_are_compared(tmp_path: Path) -> None:
    (tmp_path / "q.tflite").write_bytes(tflite_quantized())
    limits = InputLimits(ranges={"x": (-100, 100)})
    with edge_sdk.load(tmp_path / "q.tflite", guard=limits) as guarded:
        fed = np.array([[3] * 4, [120] * 4, [5] * 4], np.int8)
        with pytest.raises(RefusedRows) as caught:
            guarded.run_batch({"x": fed})
        assert list(caught.value.reasons) == [1]


def test_to_a_rate_limit_a_batch_is_one_question(tmp_path: Path) -> None:
    limits = InputLimits(most_per_s=1e-6)
    with edge_sdk.load(written(tmp_path), guard=limits) as guarded:
        assert len(guarded.run_batch({"x": rows(1, 2, 3)})["y"]) == 3
        with pytest.raises(RefusedRows) as caught:
            guarded.run_batch({"x": rows(1, np.nan)})
        assert caught.value.reasons == {0: "too many a second", 1: "not finite: x"}
    with session(planted(tmp_path / "m.onnx"), guard=limits) as guarded:
        good, blank = picture(), np.full((32, 32, 3), 90, np.uint8)
        first = guarded.predict_batch([blank, good, good])
        assert [isinstance(each, RefusedInput) for each in first] == [True, False, False]
        second = guarded.predict_batch([good, blank])
        reasons = [each.reason for each in second if isinstance(each, RefusedInput)]
        assert reasons == ["too many a second", "blank"]


@pytest.mark.parametrize("built_for", [1, "n"], ids=["one", "any"])
def test_pictures_are_answered_but_for_those_that_are_refused(
    tmp_path: Path, built_for: int | str
) -> None:
    frames = [picture(), picture() // 12, picture().astype(np.float32), picture()]
    path = planted(tmp_path / "m.onnx", rows=built_for)
    with session(path, guard=InputLimits(min_luma=20)) as guarded:
        answers = guarded.predict_batch(frames)
        told = [e.reason if isinstance(e, RefusedInput) else e.top[0].label for e in answers]  # type: ignore[union-attr]
        assert told == ["lit", "dark", "does not fit", "lit"]
        assert guarded.guard is not None
        assert guarded.guard.report().refused == {"dark": 1, "does not fit": 1}
        tensor = guarded.processing.before(picture() // 12)[0]
        guarded.run(tensor)  # its limits are of pictures, and this is none
        assert guarded.predict_batch([]) == []
    with session(path) as open_session:
        both = open_session.predict_batch([picture(), picture() // 12])
        assert both == [open_session.predict(picture()), open_session.predict(picture() // 12)]


def test_frames_of_arrays_are_answered_one_by_one(tmp_path: Path) -> None:
    with edge_sdk.load(written(tmp_path), guard=LIMITS) as guarded:
        one, two = guarded.predict_batch([{"x": rows(99)}, {"x": rows(3)}])
        assert isinstance(one, RefusedInput)
        assert isinstance(two, dict)
        np.testing.assert_allclose(two["y"], affine(rows(3)), rtol=1e-5)
