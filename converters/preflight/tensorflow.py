"""Keras models and SavedModels: their hollow goes through the very trunks a conversion uses."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from converters.engines import at_work, engine, tool_version
from converters.preflight.builds import built
from converters.preflight.obstacles import Everything, blamed, refused
from converters.preflight.words import Forecast
from converters.sources.base import Source
from converters.sources.tensorflow import TensorFlowSource
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format

KEPT = 64
"""Numbers that a constant may have and keep: shapes, axes and thresholds decide much."""
_STANDS_FOR = 0.01
"""What all numbers of a large constant become; not 0 or 1, which optimizers remove."""

_WAYS_OUT = {
    **dict.fromkeys(("While", "StatelessWhile"), "Build recurrent layers with unroll=True."),
    "ResizeBicubic": "Resize by 'bilinear' or 'nearest', which every target has.",
    "CropAndResize": "Crop in the application, or resize the whole by 'bilinear'.",
    "MaxPoolWithArgmax": "Pool without the places: tf.nn.max_pool2d.",
    "Erf": "Where it is a GELU's: tf.nn.gelu(x, approximate=True), made of tanh.",
    "Erfc": "Where it is a GELU's: tf.nn.gelu(x, approximate=True), made of tanh.",
    "ExtractImagePatches": "Take patches by a convolution with a kernel of ones and zeros.",
    "MatrixInverse": "Invert what is constant before the export, the rest in the application.",
    **dict.fromkeys(("Svd", "Unique"), "Do it in the application, after the model."),
    "TensorScatterUpdate": "Where the places are constant: tf.where with a constant mask.",
    "Atan2": "tf.atan(y / x), corrected by tf.where for x < 0.",
}
"""Equals that a target is likelier to have, for operations that have one."""


class Hollow(TensorFlowSource):
    """A source without its weights: ``frozen`` gives the same graph with large constants emptied.

    Attributes:
        nodes: names of the graph's nodes by type of operation, those of its functions included.
    """

    def __init__(self, source: TensorFlowSource) -> None:
        self.__dict__.update(source.__dict__)
        self.nodes: dict[str, list[str]] = defaultdict(list)
        self._hollow = self._emptied(source.frozen(), self.nodes)

    def frozen(self) -> Any:
        """See ``TensorFlowSource.frozen``."""
        return self._hollow

    def frozen_without_loops(self) -> Any:
        """See ``TensorFlowSource.frozen_without_loops``."""
        with self._written_out():
            return self._emptied(super().frozen(), defaultdict(list))

    def _emptied(self, frozen: Any, found: dict[str, list[str]]) -> Any:
        """The function without its large constants; notes its nodes in ``found``."""
        tf = engine("tensorflow")
        graph = frozen.graph.as_graph_def()
        with at_work(f"Looking through {self.name}"):
            for nodes in (graph.node, *(f.node_def for f in graph.library.function)):
                for node in nodes:
                    found[node.op].append(node.name)
                    if node.op == "Const":
                        self._empty(tf, node)
            wrapped = tf.compat.v1.wrap_function(
                lambda: tf.graph_util.import_graph_def(graph, name=""), []
            )
            tensor = wrapped.graph.get_tensor_by_name
            return wrapped.prune(
                [tensor(t.name) for t in frozen.inputs], [tensor(t.name) for t in frozen.outputs]
            )

    def _empty(self, tf: Any, node: Any) -> None:
        """Let one number stand for all of a large constant of real numbers."""
        value = node.attr["value"].tensor
        count = math.prod(dim.size for dim in value.tensor_shape.dim)
        if count > KEPT and tf.dtypes.as_dtype(value.dtype).is_floating:
            one = tf.make_tensor_proto(_STANDS_FOR, dtype=value.dtype)
            one.tensor_shape.CopyFrom(value.tensor_shape)
            value.CopyFrom(one)


_hollows: WeakKeyDictionary[TensorFlowSource, Hollow] = WeakKeyDictionary()
"""Made once for all formats."""


def imports(_source: Source, formats: Iterable[Format]) -> None:
    """Import the engines that these formats need; it takes longer than what follows."""
    for format_ in formats:
        for module in _ENGINES[format_]:
            engine(module)


def forecast(source: Source, format_: Format, folder: Path) -> Forecast:
    """What will come of one target."""
    original = cast(TensorFlowSource, source)
    try:
        hollow = _hollows.get(original) or _hollows.setdefault(original, Hollow(original))
        return built(hollow, format_, folder, _engine_of(format_))
    except ConversionError as error:
        nodes = _hollows[original].nodes if original in _hollows else {}
        problems = tuple(
            blamed(error, nodes, _known(format_), _engine_of(format_), _WAYS_OUT, _STRUCTURE)
        )
        return refused(format_, problems, _engine_of(format_))


_ENGINES: dict[Format, tuple[str, ...]] = {
    "tflite": ("tensorflow", "ai_edge_litert.interpreter"),
    "onnx": ("tf2onnx", "onnx", "onnxruntime"),
    "coreml": ("coremltools",),
}


def _engine_of(format_: Format) -> str:
    name = {"tflite": "tensorflow", "onnx": "tf2onnx", "coreml": "coremltools"}[format_]
    return f"{name} {tool_version(name)}"


def _known(format_: Format) -> Container[str]:
    """The TensorFlow operations that an engine has a translation of, from its own registry."""
    if format_ == "coreml":
        engine("coremltools.converters.mil.frontend.tensorflow2.ops")
        registry = engine("coremltools.converters.mil.frontend.tensorflow.tf_op_registry")
        return cast(Container[str], registry._TF_OPS_REGISTRY)
    if format_ == "onnx":
        engine("tf2onnx.onnx_opset")
        handlers = engine("tf2onnx.handler").tf_op
        known: set[str] = set()
        for opsets in handlers.get_opsets().values():
            for opset in opsets:
                known |= set(opset)
        return known
    return Everything()


_STRUCTURE = {
    "Const",
    "Placeholder",
    "Identity",
    "NoOp",
    "PartitionedCall",
    "StatefulPartitionedCall",
}
"""What holds a graph together and becomes nothing."""
