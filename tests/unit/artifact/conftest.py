"""A small but real artifact: two builds of one ONNX model, golden vectors, a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from edge_sdk.artifact import Golden, golden, measure, pack
from edge_sdk.spec import Agreement, Manifest, Provenance, Signature, TensorSpec, Variant

WEIGHT = 2.0
X = np.array([[[1.0, 2.0, 3.0]], [[-1.0, 0.5, 0.0]]], np.float32)


def onnx_scale(weight: float) -> bytes:
    """``y = x * weight``, three numbers wide."""
    from onnx import TensorProto, helper

    value = helper.make_tensor("weight", TensorProto.FLOAT, [1], [weight])
    node = helper.make_node("Mul", ["x", "weight"], ["y"])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 3]) for n in "xy")
    graph = helper.make_graph([node], "g", [x], [y], [value])
    opset = helper.make_opsetid("", 17)
    model: bytes = helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()
    return model


def tensor(name: str) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=(1, 3))


SIGNATURE = Signature(inputs=(tensor("x"),), outputs=(tensor("y"),))


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


def manifest(files: Mapping[str, Any], *variants: Variant, **changes: Any) -> Manifest:
    fields: dict[str, Any] = {
        "name": "scale",
        "version": "1.2.0",
        "signature": SIGNATURE,
        "variants": variants,
        "provenance": Provenance(
            source="scale.onnx", source_format="onnx", source_sha256="0" * 64, tools={}
        ),
        "files": dict(files),
    }
    return Manifest(**{**fields, **changes})


AGREEMENT = Agreement(
    samples=2,
    on="random",
    checked_by="onnxruntime 1",
    max_difference=0.0,
    mean_difference=0.0,
    cosine=1.0,
)


def golden_vectors(**changes: Any) -> Golden:
    fields: dict[str, Any] = {
        "inputs": {"x": X},
        "outputs": {"y": X * WEIGHT},
        "tolerance": {"onnx-fp32": {"y": 1e-6}, "coreml-fp16": {"y": 0.01}},
    }
    return Golden(**{**fields, **changes})


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Pack the sample; ``contents`` overrides or (None) drops files, the rest changes words."""

    def write(
        path: Path | str = "scale-1.2.0.edge",
        *,
        contents: Mapping[str, bytes | None] | None = None,
        variants: tuple[Variant, ...] | None = None,
        **changes: Any,
    ) -> Path:
        inside = {
            "variants/onnx-fp32/model.onnx": onnx_scale(WEIGHT),
            "variants/coreml-fp16/model.mlpackage/Manifest.json": b"{}",
            "variants/coreml-fp16/model.mlpackage/Data/model.mlmodel": b"\x08\x07",
            golden.FILE: golden.pack(golden_vectors()),
            "empty.txt": b"",
            **(contents or {}),
        }
        present = {name: content for name, content in inside.items() if content is not None}
        if variants is None:
            variants = (
                variant("onnx-fp32", "variants/onnx-fp32/model.onnx"),
                variant(
                    "coreml-fp16",
                    "variants/coreml-fp16/model.mlpackage",
                    format="coreml",
                    recipe="fp16",
                    backends=("coreml",),
                    agreement=AGREEMENT,
                ),
            )
        target = tmp_path / path
        pack(target, manifest(measure(present), *variants, **changes), present)
        return target

    return write


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Manifest]:
    """A manifest with other fields, unchecked, as only an attacker or a bug makes it."""

    def changed(word: Manifest, **changes: Any) -> Manifest:
        return msgspec.structs.replace(word, **changes)

    return changed
