"""Recipes of ONNX: onnxruntime's quantizers where they hold, our own rewriting where they do not.

fp16            each weight in half precision behind a Cast: see ``converters.targets.onnx_weights``
int8, mixed     QuantizeLinear and DequantizeLinear around every operation (QDQ). Weights per
                channel from opset 13 on, which knows an axis; below, onnxruntime writes a file that
                it refuses to load. Opset 9 has no QDQ at all: such a model is raised to 10
int8-dynamic    MatMulInteger and ConvInteger
int8-weights    each weight behind a DequantizeLinear: see ``converters.targets.onnx_weights``
int4-weights    MatMulNBits, blocks of 32: see there
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from converters.engines import engine
from converters.onnx_graph import graphs, put_in_order
from converters.probes import open_probe
from converters.ranges import Shown, measure_ranges
from converters.recipe import MIXED, Recipe
from converters.samples import Samples
from converters.sources.base import alone
from converters.targets.onnx_weights import four_bit_weights, half_weights, opset_of, stored_weights
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Signature

AXES_SINCE = 13
"""The opset from which (De)QuantizeLinear knows an axis."""
QDQ_SINCE = 10
"""The opset from which there is a (De)QuantizeLinear."""


def changed(
    model: bytes, recipe: Recipe, calibration: Samples | None, signature: Signature, folder: Path
) -> bytes:
    """The model after the recipe.

    Raises:
        ConversionError: nothing in it could be changed.
    """
    if recipe.name == "fp32":
        return model
    proto = engine("onnx").load_from_string(model)
    if recipe.name in ("int8", MIXED) and opset_of(proto) < QDQ_SINCE:
        proto = engine("onnx.version_converter").convert_version(proto, QDQ_SINCE)
        model = proto.SerializeToString()
    before = _kinds(proto)
    if recipe.name == "fp16":
        half_weights(proto)
    elif recipe.name == "int8-dynamic":
        proto = _dynamic(proto, folder)
    elif recipe.name == "int8-weights":
        stored_weights(proto, axes=opset_of(proto) >= AXES_SINCE)
    elif recipe.name == "int4-weights":
        four_bit_weights(proto)
    elif recipe.name in ("int8", MIXED):
        if calibration is None:
            raise ConversionError(f"{recipe.name} needs calibration data.")
        proto = _static(proto, model, recipe, calibration, signature)
    if _kinds(proto) == before:
        raise ConversionError(
            f"onnx-{recipe.name} is the float build unchanged: nothing in it could be quantized.",
            "Leave the recipe out.",
        )
    # onnxruntime's tools append what they add; the format wants what is read before its readers.
    for graph in list(graphs(proto.graph)):
        put_in_order(graph)
    engine("onnx").checker.check_model(proto)
    return bytes(proto.SerializeToString(deterministic=True))


def _kinds(proto: Any) -> tuple[Any, ...]:
    """What a recipe that did anything has changed: operations, and types of constants."""
    nodes = sorted(node.op_type for graph in graphs(proto.graph) for node in graph.node)
    constants = (i.data_type for graph in graphs(proto.graph) for i in graph.initializer)
    return nodes, sorted(constants)


def _dynamic(proto: Any, folder: Path) -> Any:
    quantization = engine("onnxruntime.quantization")
    path = folder / "dynamic.onnx"
    # It turns matrices, and stumbles over what an exporter noted of their shapes.
    constants = {i.name for i in proto.graph.initializer}
    noted = [v for v in proto.graph.value_info if v.name not in constants]
    del proto.graph.value_info[:]
    proto.graph.value_info.extend(noted)
    quantization.quantize_dynamic(
        proto, str(path), weight_type=quantization.QuantType.QUInt8, per_channel=False
    )
    found = engine("onnx").load(str(path))
    path.unlink()
    return found


def _static(
    proto: Any, model: bytes, recipe: Recipe, calibration: Samples, signature: Signature
) -> Any:
    probe = open_probe("onnx", model, signature)

    def passes() -> Iterator[Shown]:
        for _, batch in calibration.batches():
            for index in range(len(next(iter(batch.values())))):
                yield probe.tensors(alone(batch, signature, index))

    measured = measure_ranges(passes, recipe.method)
    calibrate = engine("onnxruntime.quantization.calibrate")
    found = calibrate.TensorsData(
        calibrate.CalibrationMethod.MinMax,
        {n: (np.array(low, "f"), np.array(high, "f")) for n, (low, high) in measured.items()},
    )
    quantization = engine("onnxruntime.quantization")
    registry = engine("onnxruntime.quantization.registry")
    wide = set(recipe.wide)
    _name_nodes(proto)
    quantizer = engine("onnxruntime.quantization.qdq_quantizer").QDQQuantizer(
        proto,
        opset_of(proto) >= AXES_SINCE,
        False,
        quantization.QuantType.QInt8,
        quantization.QuantType.QInt8,
        found,
        [],
        [node.name for node in proto.graph.node if wide & set(node.output)],
        list(registry.QDQRegistry),
        {"QDQKeepRemovableActivations": False},
    )
    quantizer.quantize_model()
    return quantizer.model.model


def _name_nodes(proto: Any) -> None:
    """The quantizer tells operations apart by name, and a model need not give any."""
    for number, node in enumerate(proto.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
