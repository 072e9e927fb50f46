"""LiteRT's Interpreter (ai-edge-litert), the living successor of tflite-runtime.

What it does that one must know:

* XNNPACK is applied by default to whatever it can take, in silence; what it left runs on the
  built-in kernels. Which operations it took is worked out (``partitions``).
* ``load_delegate`` on a missing library, or on one that is no delegate, raises and then complains
  from ``__del__`` as well; so a library is looked at, and tried in a process of its own, before it
  is handed over (``libraries``).
* It has no GPU delegate: that is with ``CompiledModel`` (``litert_compiled``), which a request for
  ``gpu`` is passed on to.

Its predecessors, tflite-runtime and TensorFlow's own, have the same interface under other names.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk.backends import libraries
from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import (
    TFLITE_LIBRARIES,
    TFLITE_OPTIONS,
    known_options,
    wants_only_plain_cpu,
)
from edge_sdk.backends.notices import without_notices
from edge_sdk.backends.partitions import Share, shares
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement, Quantization, Signature, TensorSpec
from edge_sdk.spec.tensor import Dim

REFUSALS = {
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
    title = "LiteRT"
    extra = "litert"
    formats: tuple[Format, ...] = ("tflite",)
    module = "ai_edge_litert.interpreter"
    """Where ``Interpreter``, ``OpResolverType`` and ``load_delegate`` are."""
    distribution = "ai-edge-litert"
    compiles = True
    """Whether the engine has a ``CompiledModel``, for the GPU."""

    def version(self) -> str:
        """See ``Backend.version``."""
        try:
            import_module(self.module)
            return version(self.distribution)
        except (ImportError, PackageNotFoundError) as error:
            raise UnavailableError(
                f"{self.title} is not usable here: {error}", f"pip install 'edgeloop[{self.extra}]'"
            ) from error

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``."""
        return ("xnnpack", "cpu")

    def open(
        self,
        model: Path | bytes,
        *,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None = None,
    ) -> LoadedModel:
        """See ``Backend.open``. The Interpreter keeps no prepared weights."""
        self.version()
        for request in delegates:
            if not request.library:
                known_options(self.name, request, self._options(request.name))
        prepared: tuple[Any, int] | None = None
        attempts: list[Attempt] = []
        for position, request in enumerate(delegates):
            if request.name in ("xnnpack", "cpu"):
                continue
            if prepared is not None:
                attempts.append(refused(request, "an earlier delegate of the list is active"))
                continue
            try:
                if self.compiles and request.name == "gpu":
                    return self._on_gpu(model, delegates, position, threads, attempts)
                loaded, found = self._load(request, model, threads)
                interpreter, nodes = self.prepare(model, delegates, threads, loaded)
            except UnavailableError as error:
                attempts.append(refused(request, error.message))
            except (ValueError, RuntimeError) as error:
                # Or the model is to blame; then it fails without the delegate too.
                reason = one_line(error).partition("Restored original execution plan")[0]
                attempts.append(refused(request, f"it could not take the model: {reason}"))
            else:
                if _took_some(interpreter, nodes):
                    prepared = interpreter, nodes
                    driver = libraries.driver(found)
                    attempts.append(Attempt(delegate=request.name, active=True, driver=driver))
                else:
                    attempts.append(refused(request, "it took none of the model's operations"))
        try:
            interpreter, before_xnnpack = prepared or self.prepare(model, delegates, threads)
        except (ValueError, RuntimeError) as error:
            raise as_ours(error, self) from error
        placement = Placement(
            backend=self.name,
            backend_version=self.version(),
            requested=tuple(r.name for r in delegates),
            attempts=(),
            operations=0,
            threads=threads,
        )
        return LiteRtModel(interpreter, placement, tuple(attempts), before_xnnpack, self.title)

    def _options(self, delegate: str) -> tuple[str, ...]:
        """The options that a delegate's name may carry with this engine."""
        if delegate == "gpu" and self.compiles:
            from edge_sdk.backends.litert_compiled import GPU_OPTIONS

            return GPU_OPTIONS
        return TFLITE_OPTIONS.get(delegate, ())

    def _on_gpu(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        position: int,
        threads: int,
        before: Sequence[Attempt],
    ) -> LoadedModel:
        """The model on the GPU. Raises UnavailableError with the reason if that is not to be."""
        from edge_sdk.backends.litert_compiled import on_gpu

        return on_gpu(model, delegates, delegates[position], threads, before)

    def prepare(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        threads: int,
        *external: Any,
    ) -> tuple[Any, int]:
        """An interpreter ready to run, and how many nodes it had before XNNPACK took some."""
        engine = import_module(self.module)
        resolver = (
            engine.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            if wants_only_plain_cpu(delegates)
            else engine.OpResolverType.AUTO
        )
        content = (
            {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
        )
        with without_notices():
            interpreter = engine.Interpreter(
                **content,
                num_threads=threads,
                experimental_op_resolver_type=resolver,
                experimental_delegates=list(external),
            )
            nodes = interpreter._interpreter.NumNodes()
            interpreter.allocate_tensors()
        return interpreter, nodes

    def _load(
        self, request: DelegateRequest, model: Path | bytes, threads: int
    ) -> tuple[Any, Path]:
        """Load an external delegate's library. Raises UnavailableError with the reason."""
        if not request.library and request.name not in TFLITE_LIBRARIES:
            raise UnavailableError(REFUSALS[request.name])
        found = libraries.find(request)
        libraries.try_elsewhere(self.module, found, request.options, model, threads)
        try:
            library = ctypes.CDLL(str(found))
        except OSError as error:
            raise UnavailableError(f"its library cannot be loaded: {error}") from error
        if not all(hasattr(library, symbol) for symbol in _DELEGATE_SYMBOLS):
            raise UnavailableError(
                f"{found} is no TFLite delegate: it lacks {_DELEGATE_SYMBOLS[0]}"
            )
        try:
            return import_module(self.module).load_delegate(str(found), request.options), found
        except ValueError as error:
            said = str(error).partition("\n")[2].strip()  # below a line that repeats the path
            raise UnavailableError(f"it refused to start: {said or error}") from error


class LiteRtModel:
    """One model in one interpreter."""

    def __init__(
        self,
        interpreter: Any,
        placement: Placement,
        attempts: tuple[Attempt, ...],
        before_xnnpack: int,
        engine: str = "LiteRT",
    ) -> None:
        self._engine = engine
        self._interpreter = interpreter
        self._placement = placement
        self._attempts = attempts
        self._before_xnnpack = before_xnnpack
        inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
        names = signature_names(interpreter)
        self.signature = Signature(
            inputs=tuple(tensor_spec(detail, names) for detail in inputs),
            outputs=tuple(tensor_spec(detail, names) for detail in outputs),
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
                f"{self._engine} failed with the delegate {names[0]!r}: {one_line(error)}",
                "Load the model without it.",
            )
        return UsageError(
            f"{self._engine} cannot run the model on these inputs: {one_line(error)}",
            "Check the inputs' shapes and values.",
        )

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``."""
        external, xnnpack, plain = shares(self._interpreter, self._before_xnnpack)
        operations = external.operations + xnnpack.operations + plain.operations
        attempts = [
            taken(a.delegate, external, driver=a.driver) if a.active else a for a in self._attempts
        ]
        if xnnpack.operations:
            attempts.append(taken("xnnpack", xnnpack))
        elif "xnnpack" in self._placement.requested:
            reason = (
                "it has no kernel for any operation here"
                if plain.operations
                else "nothing was left for it"
            )
            attempts.append(Attempt(delegate="xnnpack", active=False, reason=reason))
        if plain.operations:
            attempts.append(taken("cpu", plain))
        return Placement(
            backend=self._placement.backend,
            backend_version=self._placement.backend_version,
            requested=self._placement.requested,
            attempts=tuple(attempts),
            operations=operations,
            threads=self._placement.threads,
        )

    def close(self) -> None:
        """See ``LoadedModel.close``: the interpreter frees its arena when nothing refers to it."""
        self._interpreter = None


def refused(request: DelegateRequest, reason: str) -> Attempt:
    """An attempt that came to nothing."""
    return Attempt(delegate=request.name, active=False, reason=reason)


def _took_some(interpreter: Any, nodes: int) -> bool:
    """Whether a delegate has replaced any of the first ``nodes`` nodes."""
    return any(interpreter._get_op_details(i)["op_name"] == "DELEGATE" for i in range(nodes))


def taken(delegate: str, share: Share, *, driver: str = "") -> Attempt:
    """What a delegate has, as a word; the plain kernels (``cpu``) have no pieces."""
    pieces = delegate != "cpu"
    return Attempt(
        delegate=delegate,
        active=True,
        operations=share.operations,
        kinds=dict(sorted(share.kinds.items())),
        partitions=share.partitions if pieces else None,
        handed_over_bytes=share.handed_over_bytes if pieces else None,
        driver=driver,
    )


def signature_names(interpreter: Any) -> dict[int, str]:
    """Tensor index to the name the model's first signature gives it; empty without signatures."""
    for signature in interpreter._get_full_signature_list().values():
        return {
            int(index): str(name)
            for side in ("inputs", "outputs")
            for name, index in signature[side].items()
        }
    return {}


def tensor_spec(detail: dict[str, Any], names: dict[int, str]) -> TensorSpec:
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


_NO_MODEL = ("Flatbuffer", "model_content", "Could not open", "model identifier")


def as_ours(error: Exception, engine: LiteRt) -> UsageError | UnavailableError:
    """The interpreter's complaint about a model, by whose move it is."""
    text = one_line(error)
    if (
        "Flatbuffer" in text
        or "model_content" in text
        or "Could not open" in text
        or "model identifier" in text
    ):
        return UsageError(
            "This is not a TFLite model, or it was cut short.",
            "Check the file: a .tflite has TFL3 at byte 4.",
        )
    if custom := re.search(r"unresolved custom op: (\S+?)\.", text):
        return UnavailableError(
            f"The model needs the custom operation {custom[1]}, which {engine.title} does not "
            "have.",
            "Load it with the delegate that brings it: --delegate path/to/lib.so",
        )
    if "Select TensorFlow op" in text and (flex := re.search(r"\((Flex\w+)\)", text)):
        return UnavailableError(
            f"The model needs TensorFlow's own operation {flex[1]}, which {engine.title} does not "
            "have.",
            "Convert it again with built-in operations only: edge convert",
        )
    if newer := re.search(r"builtin opcode '(\w+)' version '(\d+)'|builtin_code .*: (\d+)\.", text):
        operation = f"{newer[1]} version {newer[2]}" if newer[1] else f"number {newer[3]}"
        return UnavailableError(
            f"The model needs the operation {operation}, for which this {engine.title} is too old.",
            f"pip install --upgrade {engine.distribution}",
        )
    return UnavailableError(f"{engine.title} cannot prepare the model: {text}")


def one_line(error: Exception) -> str:
    """An engine's words on one line."""
    return " ".join(str(error).split())


BACKEND = LiteRt()
