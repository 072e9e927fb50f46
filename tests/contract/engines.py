"""What the contract suite needs to know of each backend: its name and models in its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import tiny_models

from edge_sdk import UnavailableError
from edge_sdk.backends import backend


@dataclass(frozen=True)
class Engine:
    """One backend under test.

    Attributes:
        name, suffix: the backend's and its files'.
        affine: ``tiny_models.affine`` of so many rows, -1 for any number.
        quantized: the same with int8 input and output.
        sum: the sum of two inputs whose numbers of rows may disagree.
        positions: where the input is above 0: only running it tells how many rows that are.
        handed_on: ``y = -x``, and x is an output too.
        unknown: needs an operation named ``Frobnicate``.
        matrices: so many products of a matrix, a millisecond or less each.
        counts_operations: whether its placements say how many operations ran where.
        lets_go: whether it lets go of Python's lock while it computes.
        keeps_state: whether it runs models with variables, and with several signatures.
    """

    name: str
    suffix: str
    affine: Callable[[int], bytes]
    quantized: Callable[[], bytes]
    sum: Callable[[], bytes]
    positions: Callable[[], bytes]
    handed_on: Callable[[], bytes]
    unknown: Callable[[], bytes]
    matrices: Callable[[int], bytes]
    counts_operations: bool = True
    lets_go: bool = True
    keeps_state: bool = False


def _tflite(name: str) -> Engine:
    return Engine(
        name=name,
        suffix=".tflite",
        affine=tiny_models.tflite_affine,
        quantized=tiny_models.tflite_quantized,
        sum=tiny_models.tflite_sum,
        positions=tiny_models.tflite_positions,
        handed_on=tiny_models.tflite_handed_on,
        unknown=tiny_models.tflite_unknown,
        matrices=tiny_models.tflite_matrices,
        lets_go=name != "litert-compiled",
        keeps_state=True,
    )


def _onnxruntime_counts() -> bool:
    """Whether this ONNX Runtime says what runs where; 1.23, the last for Python 3.10, does not."""
    try:
        import onnxruntime
    except ImportError:
        return False
    return hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info")


ENGINES = {
    "litert": _tflite("litert"),
    "litert-compiled": _tflite("litert-compiled"),
    "tflite-runtime": _tflite("tflite-runtime"),
    "tensorflow": _tflite("tensorflow"),
    "onnxruntime": Engine(
        name="onnxruntime",
        suffix=".onnx",
        affine=tiny_models.onnx_affine,
        quantized=tiny_models.onnx_quantized,
        sum=tiny_models.onnx_sum,
        positions=tiny_models.onnx_positions,
        handed_on=tiny_models.onnx_handed_on,
        unknown=tiny_models.onnx_unknown,
        matrices=tiny_models.onnx_matrices,
        counts_operations=_onnxruntime_counts(),
    ),
}


def refusal(name: str) -> UnavailableError | None:
    """Why this machine cannot have an engine; None if it can."""
    try:
        backend(name).version()
    except UnavailableError as error:
        return error
    return None


HERE = {name: engine for name, engine in ENGINES.items() if refusal(name) is None}
"""Those that this Python has."""
