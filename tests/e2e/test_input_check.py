"""The certificate catches the classic mistakes in front of a model, each by its name.

A trained classifier of coloured pictures; every mistake is planted in the declaration, as its owner
would make it, or in the data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from converters import convert
from edge_sdk.cli.main import main
from edge_sdk.errors import UsageError
from edge_sdk.spec import InputCheck
from tests import colour_pictures as colour


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return colour.write_folder(tmp_path_factory.mktemp("colours"), 180)


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    frames, classes = colour.pictures(180, seed=2)
    return {"x": colour.prepared(frames), "y": classes}


def checked(tmp_path: Path, data: Any, refused: bool, **more: Any) -> InputCheck:
    """What a conversion says of its input, and whether it wrote anything."""
    out = tmp_path / "colours.edge"
    options = {"preprocess": colour.SPEC, "labels": colour.LABELS, **more}
    made = convert(colour.classifier(), out, recipes=["fp32"], evaluate=data, **options)
    assert made.passed != refused
    assert out.exists() != refused
    assert bool(made.report.variants) != refused
    found = made.report.input_check
    assert found is not None
    return found


def declared(**changes: Any) -> Any:
    return msgspec.structs.replace(colour.SPEC, **changes)


def test_the_right_declaration_is_confirmed(tmp_path: Path, pictures: Path) -> None:
    found = checked(tmp_path, pictures, refused=False)
    assert found.verdict == "confirmed"
    assert found.accuracy is not None
    assert found.accuracy > 0.95
    tried = {t.what: t.accuracy for t in found.tried}
    assert tried["channels bgr instead of rgb"] < 0.2
    assert tried["resize stretch instead of letterbox"] < 0.5


@pytest.mark.parametrize(
    ("planted", "said", "remedy"),
    [
        ({"channels": "bgr"}, "channels rgb instead of bgr", 'channels = "rgb"'),
        (
            {"mean": (0.0,), "std": (255.0,)},
            "mean 127.5 and std 127.5 (-1..1) instead of 0 and 255",
            "mean = [127.5], std = [127.5]",
        ),
        ({"resize": "stretch"}, "resize letterbox instead of stretch", 'resize = "letterbox"'),
        ({"resize": "crop"}, "resize letterbox instead of crop", 'resize = "letterbox"'),
        (
            {"channels": "bgr", "resize": "crop"},
            "channels rgb instead of bgr and resize letterbox instead of crop",
            'channels = "rgb", resize = "letterbox"',
        ),
    ],
)
def test_a_mistake_in_the_declaration_is_named(
    tmp_path: Path, pictures: Path, planted: dict[str, Any], said: str, remedy: str
) -> None:
    found = checked(tmp_path, pictures, refused=True, preprocess=declared(**planted))
    assert found.verdict == "contradicted"
    assert f"with {said} the original is right on" in found.said
    assert found.said.endswith("is [preprocess] wrong?")
    assert found.remedy == remedy


def test_a_wrong_layout_is_refused_by_its_name(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        checked(tmp_path, pictures, refused=True, preprocess=declared(layout="chw"))
    assert refusal.value.hint == "The model takes hwc: correct layout."


def test_planes_for_pixels_are_refused_by_their_shape(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    planes = {**arrays, "x": arrays["x"].transpose(0, 3, 1, 2)}
    with pytest.raises(UsageError) as refusal:
        checked(tmp_path, planes, refused=True)
    assert "x.transpose(0, 2, 3, 1)" in refusal.value.hint


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        (lambda x: x[..., ::-1], "the channels reversed (bgr for rgb, or rgb for bgr)"),
        (
            lambda x: x.transpose(0, 3, 1, 2).reshape(x.shape),
            "the numbers read as planes (chw) instead of pixels (hwc)",
        ),
        (lambda x: x.transpose(0, 2, 1, 3), "rows and columns swapped"),
        (lambda x: (x + 1) / 2, "the numbers in -1..1 instead of 0..1"),
        (lambda x: (x + 1) * np.float32(127.5), "the numbers in -1..1"),
    ],
)
def test_a_mistake_in_the_data_is_named(
    tmp_path: Path, arrays: dict[str, np.ndarray], planted: Any, said: str
) -> None:
    data = {**arrays, "x": np.ascontiguousarray(planted(arrays["x"]))}
    found = checked(tmp_path, data, refused=True, preprocess=None)
    assert found.verdict == "contradicted"
    assert f"with {said} the original is right on" in found.said
    assert found.said.endswith("is the mapping wrong?")


def test_without_labels_arrays_are_held_against_the_declaration(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    found = checked(tmp_path, {"x": (arrays["x"] + 1) / 2}, refused=True)
    assert found.verdict == "contradicted"
    assert "mean 0 and std 255 (0..1) does" in found.said
    found = checked(tmp_path, {"x": arrays["x"] * 255}, refused=True)
    assert found.verdict == "contradicted"
    found = checked(tmp_path, {"x": arrays["x"]}, refused=False)
    assert (found.verdict, found.said) == (
        "unchecked",
        "there are no labels to say how right the original is",
    )


def test_who_knows_better_may_go_on(tmp_path: Path, pictures: Path) -> None:
    """And the artifact says that it was so."""
    wrong = declared(channels="bgr")
    found = checked(tmp_path, pictures, refused=False, preprocess=wrong, as_declared=True)
    assert found.verdict == "contradicted"


def test_the_command_says_what_to_write(
    tmp_path: Path, pictures: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    colour.classifier().save(tmp_path / "m.keras")
    (tmp_path / "spec.toml").write_text(
        '[preprocess]\nkind = "image"\ninput = "image"\nsize = [24, 24]\nchannels = "bgr"\n'
        'resize = "letterbox"\nmean = [127.5]\nstd = [127.5]\n'
    )
    (tmp_path / "labels.txt").write_text("\n".join(colour.LABELS))
    words = ["convert", tmp_path / "m.keras", "-o", tmp_path / "m.edge", "--recipe", "fp32"]
    words += ["--evaluate", pictures, "--preprocess", tmp_path / "spec.toml"]
    code = main([*map(str, words), "--labels", str(tmp_path / "labels.txt")])
    assert code == 1
    out = capfd.readouterr().out
    assert "refused: with channels rgb instead of bgr the original is right on" in out
    assert 'Try: channels = "rgb"' in out
    assert "--as-declared" in out
    assert not (tmp_path / "m.edge").exists()


def test_labels_in_another_order_are_not_taken_for_a_mistake_in_front_of_the_model(
    tmp_path: Path, arrays: dict[str, np.ndarray]
) -> None:
    turned = {**arrays, "y": (arrays["y"] + 1) % len(colour.LABELS)}
    found = checked(tmp_path, turned, refused=False)
    assert found.verdict in ("doubtful", "confirmed")
    assert "[preprocess] wrong" not in found.said
