"""A small but real artifact: two builds of one ONNX model, golden vectors, an empty file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from edge_sdk.artifact import Golden, golden, measure, pack
from edge_sdk.spec import Agreement, Manifest, Provenance, Signature, TensorSpec, Variant

WEIGHT = 2.0
X = np.array([[[1.0, 2.0, 3.0]], [[-1.0, 0.5, 0.0]]], np.float32)
MODEL = "variants/onnx-fp32/model.onnx"
PACKAGE = "variants/coreml-fp16/model.mlpackage"


def onnx_scale(weight: float, operation: str = "Mul") -> bytes:
    """``y = x * weight``, three numbers wide."""
    value = helper.make_tensor("weight", TensorProto.FLOAT, [1], [weight])
    node = helper.make_node(operation, ["x", "weight"], ["y"])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3]) for n in "xy")
    graph = helper.make_graph([node], "g", [x], [y], [value])
    opset = helper.make_opsetid("", 17)
    model: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    return model


def tensor(name: str) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=(1, 3))


SIGNATURE = Signature(inputs=(tensor("x"),), outputs=(tensor("y"),))
AGREEMENT = Agreement(
    samples=2,
    on="random",
    checked_by="onnxruntime 1",
    max_difference=0.0,
    mean_difference=0.0,
    cosine=1.0,
)


def variant(variant_id: str, path: str, **changes: Any) -> Variant:
    fields: dict[str, Any] = {
        "id": variant_id,
        "format": "onnx",
        "recipe": "fp32",
        "path": path,
        "size": 100,
        "backends": ("onnxruntime",),
        "signature": SIGNATURE,
    }
    return Variant(**{**fields, **changes})


ONNX = variant("onnx-fp32", MODEL)
COREML = variant(
    "coreml-fp16",
    PACKAGE,
    format="coreml",
    recipe="fp16",
    backends=("coreml",),
    agreement=AGREEMENT,
)


def vectors(**changes: Any) -> Golden:
    fields: dict[str, Any] = {
        "inputs": {"x": X},
        "outputs": {"y": X * WEIGHT},
        "tolerance": {"onnx-fp32": {"y": 1e-6}, "coreml-fp16": {"y": 0.01}},
    }
    return Golden(**{**fields, **changes})


def contents(**changes: bytes | None) -> dict[str, bytes]:
    """The sample's files; those in ``changes`` instead, or (None) left out."""
    inside = {
        MODEL: onnx_scale(WEIGHT),
        f"{PACKAGE}/Manifest.json": b"{}",
        f"{PACKAGE}/Data/model.mlmodel": b"\x08\x07",
        golden.FILE: golden.pack(vectors()),
        "empty.txt": b"",
        **changes,
    }
    return {name: content for name, content in inside.items() if content is not None}


def manifest(files: Mapping[str, bytes], **changes: Any) -> Manifest:
    """A manifest that describes those files truly, but for the changes."""
    fields: dict[str, Any] = {
        "name": "scale",
        "version": "1.2.0",
        "signature": SIGNATURE,
        "variants": (ONNX, COREML),
        "provenance": Provenance(
            source="scale.onnx", source_format="onnx", source_sha256="0" * 64, tools={}
        ),
        "files": measure(files),
    }
    return Manifest(**{**fields, **changes})


def write(path: Path, files: Mapping[str, bytes] | None = None, **changes: Any) -> Path:
    """Pack those files (the sample's) at ``path``; ``changes`` are the manifest's."""
    files = contents() if files is None else files
    pack(path, manifest(files, **changes), files)
    return path
