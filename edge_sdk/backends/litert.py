"""LiteRT's Interpreter (ai-edge-litert), the living successor of tflite-runtime.

What it does that one must know:

* XNNPACK is applied by default to whatever it can take, in silence; what it left runs on the
  built-in kernels. Which operations it took is not said anywhere: after delegation the node list
  still holds every original node, followed by one ``DELEGATE`` node per partition, so a partition's
  operations are those between its inputs and its outputs.
* An external delegate's nodes appear when the interpreter is built, XNNPACK's when tensors are
  allocated. That order tells whose partition is whose.
* ``load_delegate`` on a missing library, or on one that is no delegate, raises and then complains
  from ``__del__`` as well; so a library is looked at before it is handed over.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import TFLITE_LIBRARIES, wants_only_plain_cpu
from edge_sdk.backends.notices import without_notices
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement, Quantization, Signature, TensorSpec
from edge_sdk.spec.tensor import Dim

_REFUSALS = {
    "nnapi": "NNAPI exists on Android only",
    "coreml": "the Core ML delegate exists on Apple systems only",
    "tensorrt": "LiteRT has no TensorRT delegate; ONNX Runtime has one",
    "cuda": "LiteRT has no CUDA delegate; ONNX Runtime has one",
    "openvino": "LiteRT's Interpreter has no OpenVINO delegate; ONNX Runtime has one",
}

_DELEGATE_SYMBOLS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")
"""What a delegate's library must export: TFLite's ``external_delegate_interface.h``."""


class LiteRt:
    """The backend: finds the engine, attaches delegates, opens models."""

    name = "litert"
    extra = "litert"
    formats: tuple[Format, ...] = ("tflite",)

    def version(self) -> str:
        """See ``Backend.version``."""
        try:
            import ai_edge_litert.interpreter  # noqa: F401

            return version("ai-edge-litert")
        except (ImportError, PackageNotFoundError) as error:
            raise UnavailableError(
                f"LiteRT is not usable here: {error}", "pip install 'edgeloop[litert]'"
            ) from error

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``."""
        return ("xnnpack", "cpu")

    def open(
        self, model: bytes, *, delegates: Sequence[DelegateRequest], threads: int
    ) -> LoadedModel:
        """See ``Backend.open``."""
        self.version()
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        resolver = (
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            if wants_only_plain_cpu(delegates)
            else OpResolverType.AUTO
        )

        def prepare(*external: Any) -> tuple[Any, int]:
            """An interpreter ready to run, and how many nodes it had before XNNPACK took some."""
            with without_notices():
                interpreter = Interpreter(
                    model_content=model,
                    num_threads=threads,
                    experimental_op_resolver_type=resolver,
                    experimental_delegates=list(external),
                )
                nodes = interpreter._interpreter.NumNodes()
                interpreter.allocate_tensors()
            return interpreter, nodes

        prepared: tuple[Any, int] | None = None
        attempts: list[Attempt] = []
        for request in delegates:
            if request.name in ("xnnpack", "cpu"):
                continue
            if prepared is not None:
                attempts.append(_refused(request, "an earlier delegate of the list is active"))
                continue
            try:
                interpreter, nodes = prepare(_load(request))
            except UnavailableError as error:
                attempts.append(_refused(request, error.message))
            except (ValueError, RuntimeError) as error:
                # Or the model is to blame; then it fails without the delegate too.
                reason = _line(error).partition("Restored original execution plan")[0]
                attempts.append(_refused(request, f"it could not take the model: {reason}"))
            else:
                if _took_some(interpreter, nodes):
                    prepared = interpreter, nodes
                    attempts.append(Attempt(delegate=request.name, active=True))
                else:
                    attempts.append(_refused(request, "it took none of the model's operations"))
        try:
            interpreter, before_xnnpack = prepared or prepare()
        except (ValueError, RuntimeError) as error:
            raise _as_ours(error) from error
        placement = Placement(
            backend=self.name,
            backend_version=self.version(),
            requested=tuple(r.name for r in delegates),
            attempts=(),
            operations=0,
            threads=threads,
        )
        return LiteRtModel(interpreter, placement, tuple(attempts), before_xnnpack)


class LiteRtModel:
    """One model in one interpreter."""

    def __init__(
        self,
        interpreter: Any,
        placement: Placement,
        attempts: tuple[Attempt, ...],
        before_xnnpack: int,
    ) -> None:
        self._interpreter = interpreter
        self._placement = placement
        self._attempts = attempts
        self._before_xnnpack = before_xnnpack
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        names = _signature_names(interpreter)
        self.signature = Signature(
            inputs=tuple(_tensor(detail, names) for detail in inputs),
            outputs=tuple(_tensor(detail, names) for detail in outputs),
            name=next(iter(interpreter.get_signature_list()), "serving_default"),
        )
        self._inputs = tuple(int(detail["index"]) for detail in inputs)
        self._outputs = tuple(int(detail["index"]) for detail in outputs)
        self._shapes = [tuple(int(n) for n in detail["shape"]) for detail in inputs]
        self._resizable = any(
            isinstance(n, str) for tensor in self.signature.inputs for n in tensor.shape
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``. Outputs are copies; the interpreter keeps nothing of ours."""
        interpreter = self._interpreter
        try:
            if self._resizable:
                self._fit([array.shape for array in inputs])
            for index, array in zip(self._inputs, inputs):  # noqa: B905 - strict costs 0.1 us
                interpreter.set_tensor(index, array)
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise self._failed(error) from error
        return [interpreter.get_tensor(index) for index in self._outputs]

    def _fit(self, shapes: list[tuple[int, ...]]) -> None:
        """Make room for all inputs at once; allocating moves tensors and forgets their contents."""
        if shapes == self._shapes:
            return
        self._shapes = []  # unknown, until all of it has gone well
        for index, shape in zip(self._inputs, shapes, strict=True):
            self._interpreter.resize_tensor_input(index, shape)
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def _failed(self, error: Exception) -> UsageError | UnavailableError:
        """What a failed run is: the inputs' fault, unless a foreign delegate had a part in it."""
        names = [attempt.delegate for attempt in self._attempts if attempt.active]
        if names:
            return UnavailableError(
                f"LiteRT failed with the delegate {names[0]!r}: {_line(error)}",
                "Load the model without it.",
            )
        return UsageError(
            f"LiteRT cannot run the model on these inputs: {_line(error)}",
            "Check the inputs' shapes and values.",
        )

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``."""
        nodes = self._interpreter._get_ops_details()
        original = [node for node in nodes if node["op_name"] != "DELEGATE"]
        producers = {int(t): node for node in original for t in node["outputs"]}
        external, xnnpack = 0, 0
        for node in nodes:
            if node["op_name"] == "DELEGATE":
                taken = sum(1 for _ in _between(node, producers))
                if node["index"] < self._before_xnnpack:
                    external += taken
                else:
                    xnnpack += taken
        attempts = [
            Attempt(delegate=a.delegate, active=True, operations=external) if a.active else a
            for a in self._attempts
        ]
        left = len(original) - external - xnnpack
        if xnnpack:
            attempts.append(Attempt(delegate="xnnpack", active=True, operations=xnnpack))
        elif "xnnpack" in self._placement.requested:
            reason = (
                "nothing was left for it" if not left else "it has no kernel for any operation here"
            )
            attempts.append(Attempt(delegate="xnnpack", active=False, reason=reason))
        if left:
            attempts.append(Attempt(delegate="cpu", active=True, operations=left))
        return Placement(
            backend=self._placement.backend,
            backend_version=self._placement.backend_version,
            requested=self._placement.requested,
            attempts=tuple(attempts),
            operations=len(original),
            threads=self._placement.threads,
        )

    def close(self) -> None:
        """See ``LoadedModel.close``: the interpreter frees its arena when nothing refers to it."""
        self._interpreter = None


def _load(request: DelegateRequest) -> Any:
    """Load an external delegate's library. Raises UnavailableError with the reason."""
    from ai_edge_litert.interpreter import load_delegate

    library = request.name if request.library else TFLITE_LIBRARIES.get(request.name)
    if library is None:
        raise UnavailableError(_REFUSALS[request.name])
    if request.library and Path(library).is_file():
        library = str(
            Path(library).resolve()
        )  # a bare name would be sought in the system's folders
    try:
        found = ctypes.CDLL(library)
    except OSError as error:
        raise UnavailableError(f"its library cannot be loaded: {error}") from error
    if not all(hasattr(found, symbol) for symbol in _DELEGATE_SYMBOLS):
        raise UnavailableError(f"{library} is no TFLite delegate: it lacks {_DELEGATE_SYMBOLS[0]}")
    try:
        return load_delegate(library, request.options)
    except ValueError as error:
        said = str(error).partition("\n")[2].strip()  # below a line that repeats the path
        raise UnavailableError(f"it refused to start: {said or error}") from error


def _refused(request: DelegateRequest, reason: str) -> Attempt:
    return Attempt(delegate=request.name, active=False, reason=reason)


def _took_some(interpreter: Any, nodes: int) -> bool:
    """Whether a delegate has replaced any of the first ``nodes`` nodes."""
    return any(interpreter._get_op_details(i)["op_name"] == "DELEGATE" for i in range(nodes))


def _between(delegate: dict[str, Any], producers: dict[int, Any]) -> Iterator[int]:
    """The original nodes that a DELEGATE node stands for: walk from its outputs to its inputs."""
    stop = {int(tensor) for tensor in delegate["inputs"]}
    stack, seen = [int(tensor) for tensor in delegate["outputs"]], set()
    while stack:
        tensor = stack.pop()
        node = producers.get(tensor)
        if node is None or node["index"] in seen:
            continue
        seen.add(node["index"])
        yield node["index"]
        stack += [int(t) for t in node["inputs"] if int(t) not in stop]


def _signature_names(interpreter: Any) -> dict[int, str]:
    """Tensor index to the name the model's first signature gives it; empty without signatures."""
    for signature in interpreter._get_full_signature_list().values():
        return {
            int(index): str(name)
            for side in ("inputs", "outputs")
            for name, index in signature[side].items()
        }
    return {}


def _tensor(detail: dict[str, Any], names: dict[int, str]) -> TensorSpec:
    """One of the interpreter's tensor details as a word; unknown lengths become ``dimN``."""
    shape: tuple[Dim, ...] = tuple(
        int(n) if n >= 0 else f"dim{axis}" for axis, n in enumerate(detail["shape_signature"])
    )
    if not len(detail["shape_signature"]):
        shape = tuple(int(n) for n in detail["shape"])
    scale, zero_point = detail["quantization"]
    dtype = np.dtype(detail["dtype"]).name
    return TensorSpec(
        name=names.get(int(detail["index"]), detail["name"]),
        dtype="string" if dtype in ("object", "bytes", "str") else dtype,
        shape=shape,
        quantization=Quantization(scale=float(scale), zero_point=int(zero_point))
        if scale
        else None,
    )


def _as_ours(error: Exception) -> UsageError | UnavailableError:
    """The interpreter's complaint about a model, by whose move it is."""
    text = _line(error)
    if "Flatbuffer" in text or "model_content" in text:
        return UsageError(
            "This is not a TFLite model, or it was cut short.",
            "Check the file: a .tflite has TFL3 at byte 4.",
        )
    if custom := re.search(r"unresolved custom op: (\S+?)\.", text):
        return UnavailableError(
            f"The model needs the custom operation {custom[1]}, which LiteRT does not have.",
            "Load it with the delegate that brings it: --delegate path/to/lib.so",
        )
    if "Select TensorFlow op" in text and (flex := re.search(r"\((Flex\w+)\)", text)):
        return UnavailableError(
            f"The model needs TensorFlow's own operation {flex[1]}, which LiteRT does not have.",
            "Convert it again with built-in operations only: edge convert",
        )
    if newer := re.search(r"builtin opcode '(\w+)' version '(\d+)'|builtin_code .*: (\d+)\.", text):
        operation = f"{newer[1]} version {newer[2]}" if newer[1] else f"number {newer[3]}"
        return UnavailableError(
            f"The model needs the operation {operation}, for which this LiteRT is too old.",
            "pip install --upgrade ai-edge-litert",
        )
    return UnavailableError(f"LiteRT cannot prepare the model: {text}")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


BACKEND = LiteRt()
