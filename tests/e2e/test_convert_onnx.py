"""ONNX and TFLite files as sources: real models, small ones of awkward kinds, and bad ones.

ONNX becomes TFLite in the toolchain onnx2tf (``make toolchains``). The limits are the recipes' own;
what is asserted beside them is what the engines get wrong when nobody looks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper, numpy_helper

import edge_sdk
from converters import onnx_graph, tflite_graph
from converters.toolchains import install, toolchain
from edge_sdk.artifact import Artifact
from examples.assets import asset

FACES = Path(__file__).resolve().parents[2] / "examples" / "face_detection"


@pytest.fixture(scope="module")
def onnx2tf() -> None:
    """The toolchain, installed once and for all runs."""
    install(toolchain("onnx2tf"))


def _build(path: Path, variant: str) -> bytes:
    with Artifact(path) as artifact:
        (found,) = (v for v in artifact.manifest.variants if v.id == variant)
        return artifact.read(found.path)


# Real models


def test_text_direction_with_every_length_open(edge, onnx2tf, tmp_path):
    """PP-OCRv4's classifier: paddle's own opset 11, its output of an unknown shape."""
    source, out = asset("ppocr") / "ch_ppocr_mobile_v2.0_cls_infer.onnx", tmp_path / "cls.edge"
    pictures = np.random.default_rng(2).uniform(-1, 1, (8, 3, 48, 192)).astype(np.float32)
    np.savez(tmp_path / "set.npz", x=pictures)
    done = edge(
        *("convert", source, "-o", out, "--formats", "tflite,coreml,onnx"),
        *("--recipe", "fp32,fp16", "--input", "x:1x3x48x192"),
        *("--evaluate", tmp_path / "set.npz"),
    )
    assert done.code == 0, done.out + done.err
    with Artifact(out) as artifact:
        manifest = artifact.manifest
        ids = [variant.id for variant in manifest.variants]
        assert ids == [
            *("tflite-fp32", "tflite-fp16", "coreml-fp32", "coreml-fp16"),
            *("onnx-fp32", "onnx-fp16"),
        ]
        assert manifest.signature.inputs[0].shape == (1, 3, 48, 192)  # not 1x48x192x3
        assert manifest.provenance.tools["onnx2tf"].startswith("2.6.9 (lock sha256:")
        assert all(v.agreement.argmax == 1.0 for v in manifest.variants)
        (exact,) = (v for v in manifest.variants if v.id == "coreml-fp32")
        assert exact.agreement.unchecked_ops == ()
        assert exact.agreement.max_difference < 1e-5
        # What Core ML cannot call so is called so by us, and the package says what it is.
        assert exact.signature.outputs[0].name == "save_infer_model/scale_0.tmp_1"
        package = {n: artifact.read(n) for n in manifest.files if n.startswith(exact.path)}
        (program,) = (b for n, b in package.items() if n.endswith("model.mlmodel"))
        assert b"edgeloop.terms" in program
        assert b"save_infer_model_scale_0_tmp_1" in program
    tree = tflite_graph.read_tflite(_build(out, "tflite-fp32"))
    inputs, outputs = tflite_graph.sides(tree)
    assert list(inputs) == ["x"]
    assert list(outputs) == ["save_infer_model/scale_0.tmp_1"]
    assert edge("verify", out).code == 0


def test_text_detection_answers_pictures_in_the_layout_of_the_source(edge, onnx2tf, tmp_path):
    """PP-OCRv4's detector: ConvTranspose, a map of 1x1xHxW that onnx2tf gives as 1xHxWx1."""
    source, out = asset("ppocr") / "ch_PP-OCRv4_det_infer.onnx", tmp_path / "det.edge"
    rng = np.random.default_rng(7)
    written = np.full((3, 3, 96, 160), 0.9, np.float32)
    for picture in written:  # dark strokes on white, as far as a detector cares
        for _ in range(6):
            top, left = rng.integers(4, 80), rng.integers(4, 120)
            picture[:, top : top + 8, left : left + 30 : 4] = -0.9
    np.savez(tmp_path / "set.npz", x=written)
    done = edge(
        *("convert", source, "-o", out, "--recipe", "fp32", "--input", "x:1x3x96x160"),
        *("--evaluate", tmp_path / "set.npz", "--golden", "none"),
    )
    assert done.code == 0, done.out + done.err
    with edge_sdk.load(out) as session:
        made = session.run({"x": written[:1]})["sigmoid_0.tmp_0"]
    bare = onnx_graph.fixed(onnx_graph.read_onnx(source), {"x": (1, 3, 96, 160)})
    (tmp_path / "bare.onnx").write_bytes(onnx_graph.serialized(bare))
    with edge_sdk.load(tmp_path / "bare.onnx") as session:
        wanted = session.run({"x": written[:1]})["sigmoid_0.tmp_0"]
    assert made.shape == wanted.shape == (1, 1, 96, 160)
    np.testing.assert_allclose(made, wanted, atol=1e-4)


def test_kinds_of_files_of_integers(edge, onnx2tf, tmp_path):
    """Magika: int32 bytes in, an embedding by arithmetic, LayerNorm."""
    out = tmp_path / "magika.edge"
    files = np.random.default_rng(4).integers(0, 256, (6, 2048)).astype(np.int32)
    np.savez(tmp_path / "set.npz", x=files)
    data = ["--evaluate", tmp_path / "set.npz", "--golden", "none"]
    done = edge("convert", asset("magika"), "-o", out, "--formats", "tflite,onnx", *data)
    assert done.code == 0, done.out + done.err
    with Artifact(out) as artifact:
        assert artifact.manifest.signature.inputs[0].dtype == "int32"
        by_id = {v.id: v for v in artifact.manifest.variants}
    assert set(by_id) == {"tflite-fp32", "tflite-fp16", "onnx-fp32", "onnx-fp16"}
    for format_ in ("tflite", "onnx"):
        assert by_id[f"{format_}-fp16"].size < 0.55 * by_id[f"{format_}-fp32"].size


def test_one_net_as_onnx_and_as_tflite(edge, onnx2tf, tmp_path):
    """basic-pitch: names with colons, weights used 26 times over, an open batch in both files."""
    folder, sizes = asset("basic-pitch"), {}
    rng = np.random.default_rng(3)
    np.savez(tmp_path / "set.npz", x=rng.normal(0, 0.1, (2, 43844, 1)).astype(np.float32))
    data = ["--evaluate", tmp_path / "set.npz", "--golden", "none"]
    for suffix in ("onnx", "tflite"):
        source, out = folder / f"nmp.{suffix}", tmp_path / f"{suffix}.edge"
        formats = "tflite,onnx" if suffix == "tflite" else "tflite"
        done = edge(
            "convert",
            source,
            "-o",
            out,
            "--formats",
            formats,
            *data,
            "--recipe",
            "fp32,int8-dynamic",
        )
        assert done.code == 0, done.out + done.err
        with Artifact(out) as artifact:
            assert artifact.manifest.signature.inputs[0].shape == (1, 43844, 1)
            sizes[suffix] = {v.id: v.size for v in artifact.manifest.variants}
    for made in sizes.values():
        assert made["tflite-fp32"] < 1.1 * (folder / "nmp.tflite").stat().st_size
        assert made["tflite-int8-dynamic"] < 0.6 * made["tflite-fp32"]


def test_an_if_on_a_shape_is_decided_and_one_on_an_input_is_refused(edge, onnx2tf, tmp_path):
    """Silero: of one onnx2tf alone makes 72 kB that take 1x1, of the other a custom operation."""
    folder, out = asset("silero-vad"), tmp_path / "vad.edge"
    rng = np.random.default_rng(5)
    np.savez(
        tmp_path / "set.npz",
        input=rng.normal(0, 0.1, (8, 576)).astype(np.float32),
        state=rng.normal(0, 0.1, (8, 2, 1, 128)).astype(np.float32),
        sr=np.full(8, 16000, np.int64),
    )
    words = [
        "-o",
        out,
        "--formats",
        "tflite,coreml",
        "--recipe",
        "fp32",
        "--input",
        "input:1x576",
        "--evaluate",
        tmp_path / "set.npz",
    ]
    done = edge("convert", folder / "silero_vad_16k_op15.onnx", *words)
    assert done.code == 0, done.out + done.err
    with Artifact(out) as artifact:
        shapes = {t.name: t.shape for t in artifact.manifest.signature.inputs}
        assert shapes == {"input": (1, 576), "state": (2, 1, 128), "sr": ()}
        assert artifact.manifest.variants[0].size > 1_000_000
        by_id = {v.id: v for v in artifact.manifest.variants}
        # Core ML's LSTM; it has no single numbers, and "state" is a word of its own.
        core_ml = by_id["coreml-fp32"]
        assert {t.name: t.shape for t in core_ml.signature.inputs} == shapes
        assert core_ml.agreement.max_difference < 1e-5
    assert edge("verify", out).code == 0
    out.unlink()
    done = edge("convert", folder / "silero_vad_op18_ifless.onnx", *words)
    assert done.code == 1
    assert done.out.count("it holds If (node_cond__1)") == 2
    assert not out.exists()


def test_mediapipe_s_halves_are_quantized_and_become_onnx(edge, tmp_path):
    """No SignatureDef, operations in one byte, weights in half precision behind DEQUANTIZE."""
    source, out = asset("face-detection-short-range"), tmp_path / "faces.edge"
    done = edge(
        *("convert", source, "-o", out, "--formats", "tflite,onnx"),
        *("--recipe", "fp32,fp16,int8-weights", "--evaluate", asset("photos")),
        *("--preprocess", FACES / "face.toml", "--labels", FACES / "labels.txt"),
    )
    assert done.code == 0, done.out + done.err
    with Artifact(out) as artifact:
        sizes = {v.id: v.size for v in artifact.manifest.variants}
        exact = {v.id: v.agreement.max_difference for v in artifact.manifest.variants}
    assert exact["tflite-fp32"] == exact["tflite-fp16"] == 0.0  # halves are what they were
    assert sizes["tflite-int8-weights"] < sizes["tflite-fp16"] < 0.6 * sizes["tflite-fp32"]
    recipes = ("fp32", "fp16", "int8-weights")
    assert set(sizes) == {f"{f}-{r}" for f in ("tflite", "onnx") for r in recipes}


# Small ones of awkward kinds


def _model(
    nodes: list[Any],
    inputs: dict[str, tuple[int, Any]],
    outputs: dict[str, tuple[int, Any]],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = 17,
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, *spec) for name, spec in inputs.items()],
        [helper.make_tensor_value_info(name, *spec) for name, spec in outputs.items()],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("tests", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString())


FLOAT = TensorProto.FLOAT


@pytest.mark.parametrize("opset", [9, 21])
def test_a_cube_of_equal_lengths_keeps_its_layout(edge, onnx2tf, tmp_path, opset):
    """Where every length is 4, no shape tells channels first from channels last; answers do."""
    rng = np.random.default_rng(opset)
    weights = rng.normal(size=(4, 4, 3, 3)).astype(np.float32)
    conv = helper.make_node("Conv", ["a:0", "w"], ["y/0"], pads=[1, 1, 1, 1])
    (tmp_path / "m.onnx").write_bytes(
        _model(
            [conv],
            {"a:0": (FLOAT, ("N", 4, "side", "side"))},
            {"y/0": (FLOAT, ("N", 4, "side", "side"))},
            {"w": weights},
            opset,
        )
    )
    done = edge(
        "convert",
        tmp_path / "m.onnx",
        "-o",
        tmp_path / "m.edge",
        "--recipe",
        "fp32",
        "--input",
        "a:0:1x4x4x4",
    )
    assert done.code == 0, done.out + done.err
    x = rng.normal(size=(1, 4, 4, 4)).astype(np.float32)
    padded = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
    wanted = np.zeros((1, 4, 4, 4), np.float32)
    for i in range(4):
        for j in range(4):
            wanted[0, :, i, j] = np.einsum("oihw,ihw->o", weights, padded[:, i : i + 3, j : j + 3])
    with edge_sdk.load(tmp_path / "m.edge") as session:
        np.testing.assert_allclose(session.run({"a:0": x})["y/0"], wanted, rtol=1e-4, atol=1e-4)


def test_the_same_bytes_every_time(edge, onnx2tf, tmp_path):
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine(rows=-1))
    words = ["--formats", "tflite,onnx", "--recipe", "fp32"]
    digests = []
    for out in ("a.edge", "b.edge"):
        done = edge(
            "convert", tmp_path / "m.onnx", "-o", tmp_path / out, *words, "--name", "m", "--json"
        )
        assert done.code == 0, done.err
        digests.append(json.loads(done.out)["digest"])
    assert digests[0] == digests[1]


def test_without_the_toolchain_it_says_how_to_get_it(edge, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGELOOP_TOOLCHAINS", str(tmp_path / "none"))
    (tmp_path / "m.onnx").write_bytes(tiny_models.onnx_affine())
    done = edge("convert", tmp_path / "m.onnx", "-o", tmp_path / "m.edge", "--formats", "tflite")
    assert done.code == 3
    assert "edge toolchain install onnx2tf" in done.err
    assert not (tmp_path / "m.edge").exists()


def test_a_tflite_with_open_rows_is_fixed(edge, tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_models.tflite_affine(rows=-1))
    done = edge(
        "convert",
        tmp_path / "m.tflite",
        "-o",
        tmp_path / "m.edge",
        "--formats",
        "tflite,onnx",
        "--recipe",
        "fp32",
    )
    assert done.code == 0, done.out + done.err
    x = np.array([[1, 2, 3, 4]], np.float32)
    for delegate in ("tflite-fp32", "onnx-fp32"):
        (tmp_path / f"bare.{delegate[:-5]}").write_bytes(_build(tmp_path / "m.edge", delegate))
        with edge_sdk.load(tmp_path / f"bare.{delegate[:-5]}") as session:
            np.testing.assert_allclose(session.run({"x": x})["y"], tiny_models.affine(x), rtol=1e-5)


# Bad ones


def _refused(edge: Any, tmp_path: Path, model: bytes, *words: object, name: str = "m.onnx") -> Any:
    (tmp_path / name).write_bytes(model)
    out = tmp_path / "m.edge"
    done = edge("convert", tmp_path / name, "-o", out, *(words or ("--formats", "onnx")))
    assert done.code != 0
    assert "Traceback" not in done.err
    assert not out.exists()
    return done


X, Y = {"x": (FLOAT, (1, 4))}, {"y": (FLOAT, (1, 4))}
RELU = helper.make_node("Relu", ["x"], ["y"])


def _cyclic() -> bytes:
    nodes = [
        helper.make_node("Add", ["x", "b"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    return _model(nodes, X, Y)


def _external() -> bytes:
    add = helper.make_node("Add", ["x", "w"], ["y"])
    model = onnx.load_model_from_string(_model([add], X, Y, {"w": np.ones((1, 4), np.float32)}))
    (weights,) = model.graph.initializer
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    return bytes(model.SerializeToString())


ADD_NAN = helper.make_node("Add", ["x", "w"], ["y"])
NAN = {"w": np.array([[1, np.nan, 2, 3]], np.float32)}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (_model([RELU], X, Y, opset=7), "is of opset 7; edgeloop reads opset 9 and up"),
        (_model([ADD_NAN], X, Y, NAN), "has weights that are no numbers: NaN in 'w'"),
        (_cyclic(), "is no valid ONNX model: Nodes in a graph must be topologically sorted"),
        (_external(), "keeps its weights in another file"),
        (_model([], X, Y), "is an ONNX model without any operation"),
        (b"no protobuf at all", "is not an ONNX model"),
        (_model([RELU], X, Y)[:-20], "m.onnx is"),
    ],
    ids=["opset 7", "NaN", "cyclic", "external", "no operation", "text", "truncated"],
)
def test_a_bad_model_is_refused_by_name(edge, tmp_path, model, said):
    done = _refused(edge, tmp_path, model)
    assert done.code == 2
    assert said in done.err
    assert len(done.err[done.err.index("edge: ") :].splitlines()) >= 2


@pytest.mark.parametrize(
    ("shape", "words", "said"),
    [
        ((1, 3, "h", "w"), (), "an axis without a length (h)"),
        ((1, 3, 0, 4), (), "an axis without a length (dim2)"),
        ((1, 3, "h", "w"), ("--input", "x:1x3x4"), "does not fit"),
        ((1, 3, "h", "w"), ("--input", "z:1x3x4x4"), "no input 'z'"),
        ((1, 3, "s", "s"), ("--input", "x:1x3x4x5"), "The axis 's' would be 4"),
    ],
)
def test_lengths_that_are_open_or_do_not_fit(edge, tmp_path, shape, words, said):
    relu = _model([RELU], {"x": (FLOAT, shape)}, {"y": (FLOAT, shape)})
    done = _refused(edge, tmp_path, relu, "--formats", "onnx", *words)
    assert done.code == 2
    assert said in done.err


def test_an_operation_that_nobody_has(edge, tmp_path):
    done = _refused(edge, tmp_path, tiny_models.onnx_unknown())
    assert done.code == 3
    assert "Frobnicate" in done.err


def test_an_output_of_no_numbers(edge, tmp_path):
    slice_ = helper.make_node("Slice", ["x", "from", "to"], ["y"])
    ends = {"from": np.array([0, 4], np.int64), "to": np.array([1, 4], np.int64)}
    done = _refused(edge, tmp_path, _model([slice_], X, {"y": (FLOAT, (1, 0))}, ends))
    assert done.code == 2
    assert "The output 'y' of m.onnx holds no numbers" in done.err


def test_what_an_engine_does_not_know_is_named(edge, onnx2tf, tmp_path):
    """onnx2tf writes a custom operation and exits with 0."""
    count = helper.make_node(
        *("TfIdfVectorizer", ["x"], ["y"], "counted"),
        **{"mode": "TF", "min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0},
        **{"ngram_counts": [0], "ngram_indexes": [0, 1, 2], "pool_int64s": [2, 3, 5]},
    )
    model = _model([count], {"x": (TensorProto.INT32, (1, 6))}, {"y": (FLOAT, (1, 3))})
    done = _refused(edge, tmp_path, model, "--formats", "tflite,coreml", "--recipe", "fp32")
    assert done.code == 1
    assert "TFLite has no operation TFIDFVECTORIZER." in done.out
    assert "Another target may do: --formats onnx" in done.out
    assert "no counterpart of the operation TfIdfVectorizer at 'counted'." in done.out
    assert "Another target may do: --formats onnx,tflite" in done.out


def test_a_quantized_tflite(edge, tmp_path):
    done = _refused(
        edge, tmp_path, tiny_models.tflite_quantized(), "--recipe", "fp16", name="m.tflite"
    )
    assert (done.code, "m.tflite is quantized already" in done.err) == (2, True)


def test_a_tflite_becomes_core_ml_by_way_of_onnx(edge, tmp_path):
    (tmp_path / "m.tflite").write_bytes(tiny_models.tflite_affine())
    out = tmp_path / "m.edge"
    done = edge("convert", tmp_path / "m.tflite", "-o", out, "--formats", "coreml")
    assert done.code == 0, done.out + done.err
    with Artifact(out) as artifact:
        ids = [variant.id for variant in artifact.manifest.variants]
        assert ids == ["coreml-fp32", "coreml-fp16"]
        assert {"tf2onnx", "torch", "coremltools"} <= set(artifact.manifest.provenance.tools)
