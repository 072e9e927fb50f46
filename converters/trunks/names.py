"""The source's names, given to what engines made under names of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from converters.engines import engine
from edge_sdk.errors import ConversionError


def renamed(model: bytes, names: Mapping[str, str]) -> bytes:
    """The TFLite model with other names in its signatures."""
    schema, builder = engine("ai_edge_litert.schema_py_generated"), engine("flatbuffers").Builder()
    tree = schema.ModelT.InitFromPackedBuf(model, 0)
    for signature in tree.signatureDefs:
        for tensor in (*signature.inputs, *signature.outputs):
            tensor.name = names.get(tensor.name.decode(), tensor.name.decode())
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def check_core_ml_names(names: list[str]) -> None:
    """Raises ConversionError for a name that Core ML cannot have."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ConversionError(
                f"Core ML cannot have an input or output called {name!r}: only letters, digits "
                "and _ are allowed.",
                "Rename that layer of the model, or leave the format out: --formats tflite,onnx",
            )


def rename_features(ct: Any, spec: Any, names: list[str], wanted: list[str]) -> None:
    """Rename a Core ML model's inputs and outputs.

    By way of names nobody has: an old name may be another's new one.
    """
    for number, name in enumerate(names):
        ct.utils.rename_feature(spec, name, f"edgeloop_{number}")
    for number, name in enumerate(wanted):
        ct.utils.rename_feature(spec, f"edgeloop_{number}", name)
