"""Models of pictures whose answers are known to rest on one region, on all, or on nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import edge_sdk
from edge_sdk.spec import Classification, ImageInput

SIDE = 32
TOP, BOTTOM, LEFT, RIGHT = 4, 14, 18, 30
"""The region, in the model's pixels."""
DIM, BRIGHT = 40, 220
LABELS = ("lit", "unlit")


def planted(
    path: Path,
    where: str = "region",
    *,
    rows: int | str = 1,
    dtype: int = onnx.TensorProto.FLOAT,
    nan: bool = False,
) -> Path:
    """Write a model: how bright is the region (or ``all``, or nothing: ``none``)?

    Its two logits are plus and minus the same.
    """
    weights = np.zeros((SIDE, SIDE, 3), np.float32)
    if where == "region":
        weights[TOP:BOTTOM, LEFT:RIGHT] = 1
    elif where == "all":
        weights[:] = 1
    total = max(1.0, float(weights.sum()))
    column = weights.reshape(-1, 1) / total / 30
    bias = (0 if where == "none" else -(DIM + BRIGHT) / 2) / 30 + (np.nan if nan else 0)
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["floats"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Flatten", ["floats"], ["flat"]),
            helper.make_node("Gemm", ["flat", "w", "b"], ["scores"]),
        ],
        "planted",
        [helper.make_tensor_value_info("image", dtype, [rows, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, [rows, 2])],
        [
            numpy_helper.from_array(np.hstack([column, -column]).astype(np.float32), "w"),
            numpy_helper.from_array(np.array([bias, -bias], np.float32), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def session(path: Path, resize: str = "stretch", **more: object) -> edge_sdk.Session:
    """It, with its declarations."""
    return edge_sdk.load(
        path,
        preprocess=ImageInput(input="image", size=(SIDE, SIDE), resize=resize, std=(1.0,)),
        postprocess=Classification(output="scores", activation="softmax"),
        labels=LABELS,
        **more,
    )


def picture(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Dim, and bright where the region is if the picture is stretched."""
    made = np.full((height, width, 3), DIM, np.uint8)
    made[region(height, width)] = BRIGHT
    return made


def region(height: int, width: int) -> tuple[slice, slice]:
    """The region in a stretched picture of that size."""
    return (
        slice(round(TOP / SIDE * height), round(BOTTOM / SIDE * height)),
        slice(round(LEFT / SIDE * width), round(RIGHT / SIDE * width)),
    )
