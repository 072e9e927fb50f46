"""PyTorch, by each of its ways in, to every target; and what is refused on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_torch

import edge_sdk
from converters import convert
from converters.engines import engine, quiet
from converters.sources import open_source
from edge_sdk.artifact import Artifact
from edge_sdk.errors import ConversionError, UsageError

torch: Any = tiny_torch.torch
FORMATS = ["tflite", "coreml", "onnx"]
IMAGE = {"image": (1, 3, 8, 8)}

# Inside torch and what it brings: none of it ours to mend.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ``tiny_torch:picture`` is found."""
    monkeypatch.chdir(Path(__file__).parent)


def pt2(path: Path, **dynamic: Any) -> Path:
    example = torch.zeros(2 if dynamic else 1, 3, 8, 8)
    with quiet():
        program = torch.export.export(
            tiny_torch.picture().eval(), (example,), dynamic_shapes=dynamic or None
        )
        torch.export.save(program, path)
    return path


def torchscript(path: Path, *, scripted: bool = False) -> Path:
    model = tiny_torch.picture().eval()
    with quiet():
        if scripted:
            torch.jit.save(torch.jit.script(model), path)
        else:
            torch.jit.save(torch.jit.trace(model, torch.rand(1, 3, 8, 8)), path)
    return path


WAYS = {
    "object": ("pytorch", lambda folder: tiny_torch.picture()),
    "pair": ("pytorch", lambda folder: tiny_torch.picture_with_example()),
    "function": ("pytorch", lambda folder: "tiny_torch:picture"),
    "pt2": ("pt2", lambda folder: pt2(folder / "model.pt2")),
    "traced": ("torchscript", lambda folder: torchscript(folder / "model.pt")),
    "scripted": (
        "torchscript",
        lambda folder: torchscript(folder / "m.torchscript", scripted=True),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_answers_as_the_module_does(way, tmp_path):
    kind, make = WAYS[way]
    source = open_source(make(tmp_path), shapes={} if way in ("pair", "pt2") else IMAGE)
    assert source.kind == kind
    assert [t.name for t in source.signature.inputs] == ["image"]
    assert [t.name for t in source.signature.outputs] == ["output"]
    x = np.random.default_rng(1).random((5, 3, 8, 8), np.float32)
    with torch.no_grad():
        expected = tiny_torch.picture().eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(source.run({"image": x})["output"], expected, atol=1e-5)
    np.testing.assert_allclose(source.run_one({"image": x[:1]})["output"], expected[:1], atol=1e-5)


@pytest.mark.parametrize(
    ("way", "formats"), [("function", FORMATS), ("pt2", ["tflite"]), ("scripted", FORMATS)]
)
def test_it_becomes_every_format(way, formats, tmp_path):
    _, make = WAYS[way]
    conversion = convert(
        make(tmp_path),
        tmp_path / "out.edge",
        formats=formats,
        recipes=["fp32"],
        shapes={} if way == "pt2" else IMAGE,
    )
    assert conversion.passed, conversion.report.variants
    assert [v.id for v in conversion.report.variants] == [f"{f}-fp32" for f in formats]
    for variant in conversion.report.variants:
        assert variant.agreement.max_difference < 1e-5
        assert not variant.agreement.unchecked_ops
    tools = conversion.report.provenance.tools
    assert {"torch", "litert-torch"} <= set(tools)


def test_the_artifact_is_fed_in_the_source_s_own_layout(tmp_path):
    x = np.random.default_rng(1).random((40, 3, 8, 8), np.float32)
    conversion = convert(
        tiny_torch.picture_with_example(),
        tmp_path / "out.edge",
        recipes=["fp32", "int8"],
        calibrate={"x": x},
    )
    assert conversion.passed, conversion.report.variants
    for variant in conversion.manifest.variants:
        assert variant.signature.inputs[0].shape == (1, 3, 8, 8)
    with torch.no_grad():
        expected = tiny_torch.picture().eval()(torch.from_numpy(x[:1])).numpy()
    with edge_sdk.load(tmp_path / "out.edge", variant="tflite-fp32") as session:
        np.testing.assert_allclose(session.run({"image": x[:1]})["output"], expected, atol=1e-5)


def test_names_are_forward_s_and_the_dict_s(tmp_path):
    conversion = convert(
        tiny_torch.pair(),
        tmp_path / "out.edge",
        formats=FORMATS,
        recipes=["fp32"],
        shapes={"left": (1, 4), "right": (1, 4)},
    )
    assert conversion.passed, conversion.report.variants
    for variant in conversion.manifest.variants:
        assert sorted(t.name for t in variant.signature.inputs) == ["left", "right"]
        assert sorted(t.name for t in variant.signature.outputs) == ["alpha", "zeta"]


def test_an_lstm_of_indices(tmp_path):
    conversion = convert(
        tiny_torch.words(), tmp_path / "out.edge", formats=FORMATS, recipes=["fp32"]
    )
    assert conversion.passed, conversion.report.variants
    assert [t.name for t in conversion.manifest.signature.outputs] == ["output_0", "output_1"]
    for variant in conversion.report.variants:
        assert variant.agreement.max_difference < 1e-5


def test_the_same_model_gives_the_same_bytes_without_the_author_s_folders(tmp_path):
    files = []
    for number in range(2):
        path = tmp_path / f"{number}.edge"
        convert(
            tiny_torch.picture_with_example(), path, name="m", formats=FORMATS, recipes=["fp32"]
        )
        with Artifact(path) as artifact:
            files.append({f: artifact.read(f) for f in artifact.manifest.files})
    assert files[0] == files[1]
    for path, content in files[0].items():
        assert str(Path.cwd()).encode() not in content, path


def test_a_batch_left_open_becomes_one(tmp_path):
    path = pt2(tmp_path / "model.pt2", image={0: torch.export.Dim("n", min=1, max=64)})
    source = open_source(path)
    assert source.signature.inputs[0].shape == (1, 3, 8, 8)
    x = np.random.default_rng(1).random((4, 3, 8, 8), np.float32)
    assert source.run({"image": x})["output"].shape == (4, 3)


def test_an_open_length_is_given_on_the_command_line(edge, tmp_path):
    path = pt2(tmp_path / "model.pt2", image={0: torch.export.Dim("n", min=1, max=64)})
    done = edge("convert", path, "-o", tmp_path / "o.edge", "--input", "image:1x3x9x9")
    assert done.code == 2
    assert "does not fit" in done.err


def test_a_module_in_memory_stays_as_it_was(tmp_path):
    model = tiny_torch.picture()
    assert model.training
    open_source(model, shapes=IMAGE)
    assert model.training


REFUSED = {
    "tiny_torch:picture": ["does not say what shape its input 'image' has", "--input image:"],
    "tiny_torch:branching": ["depends on", "torch.where"],
    "tiny_torch:number": ["int is not a model"],
    "tiny_torch:nothing": ["tiny_torch:nothing failed", "no attribute 'nothing'"],
    "no_such_module:model": ["No module named 'no_such_module'"],
}


@pytest.mark.parametrize("source", REFUSED)
def test_what_a_function_may_not_return_is_named(edge, tmp_path, source):
    done = edge("convert", source, "-o", tmp_path / "out.edge")
    assert done.code in (1, 2), done.err
    for words in REFUSED[source]:
        assert words in done.out + done.err
    assert not (tmp_path / "out.edge").exists()


@pytest.mark.parametrize(
    ("shape", "words"),
    [("image:1x5x8x8", "1x5x8x8"), ("picture:1x3x8x8", "no input 'picture'")],
)
def test_a_wrong_shape_is_told_with_what_it_was_run_on(edge, tmp_path, shape, words):
    done = edge("convert", "tiny_torch:picture", "-o", tmp_path / "out.edge", "--input", shape)
    assert done.code in (1, 2)
    assert words in done.err


@pytest.mark.parametrize("format_", FORMATS)
def test_an_operation_without_a_converter_is_named_with_its_layer_and_line(tmp_path, format_):
    conversion = convert(
        tiny_torch.strange(),
        tmp_path / "out.edge",
        formats=[format_],
        recipes=["fp32"],
        shapes={"x": (1, 4, 4)},
    )
    assert not conversion.passed
    text = Path(tiny_torch.__file__).read_text().splitlines()
    line = next(n for n, words in enumerate(text, 1) if "the line that a refusal names" in words)
    reason = conversion.report.variants[0].reason
    assert "linalg_eig" in reason
    assert f"layer inner, tiny_torch.py line {line}" in reason


def test_half_precision_numpy_cannot_hold_is_refused():
    model = tiny_torch.picture().to(torch.bfloat16)
    example = torch.zeros(1, 3, 8, 8, dtype=torch.bfloat16)
    with pytest.raises(UsageError, match="bfloat16") as caught:
        open_source((model, example))
    assert "model.float()" in caught.value.hint


def test_a_model_that_answers_with_no_tensor_is_refused():
    class Talking(torch.nn.Module):
        def forward(self, x):
            return {"y": x, "note": "fine"}

    with pytest.raises((UsageError, ConversionError), match="a str"):
        open_source((Talking(), torch.ones(1, 2)))


def test_it_runs_in_plain_engines(tmp_path):
    """What stands in the artifact is taken by the engines themselves, under our names."""
    convert(tiny_torch.picture_with_example(), tmp_path / "o.edge", formats=["onnx"])
    with Artifact(tmp_path / "o.edge") as artifact:
        model = artifact.read("variants/onnx-fp32/model.onnx")
    engine("onnx").checker.check_model(model, full_check=True)
    session = engine("onnxruntime").InferenceSession(model)
    assert [i.name for i in session.get_inputs()] == ["image"]
