"""The TFLite Interpreter: LiteRT's (ai-edge-litert), and under other names its predecessors'.

What it does that one must know:

* XNNPACK is applied by default to whatever it can take, in silence; what it left runs on the
  built-in kernels. Which operations it took is worked out (``partitions``).
* ``load_delegate`` on a missing library, or on one that is no delegate, raises and then complains
  from ``__del__`` as well; so a library is looked at, and tried in a process of its own, before it
  is handed over (``libraries``).
* LiteRT's has no GPU delegate: that is with ``CompiledModel`` (``litert_compiled``), which asks an
  Interpreter what a model is. So this room knows nothing of ``CompiledModel``; the backend
  ``litert``, above both, passes a request for ``gpu`` on.

tflite-runtime and TensorFlow's own have the same interface, and derive from the class here.
"""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_sdk.backends import libraries, processor
from edge_sdk.backends.base import DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import (
    EARLIER,
    OWN,
    TFLITE_LIBRARIES,
    TFLITE_OPTIONS,
    check_options,
    wants_only_plain_cpu,
)
from edge_sdk.backends.litert_model import LiteRtModel, Prepared, one_line, unchanged
from edge_sdk.backends.notices import without_notices
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement

REFUSALS = {
    "nnapi": "NNAPI exists on Android only",
    "coreml": "the Core ML delegate exists on Apple systems only",
    "tensorrt": "LiteRT has no TensorRT delegate; ONNX Runtime has one",
    "cuda": "LiteRT has no CUDA delegate; ONNX Runtime has one",
    "openvino": "LiteRT's Interpreter has no OpenVINO delegate; ONNX Runtime has one",
}

_DELEGATE_SYMBOLS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")
"""What a delegate's library must export: TFLite's ``external_delegate_interface.h``."""


class LiteRtInterpreter:
    """Finds the engine, attaches delegates, opens models; as LiteRT's, until a name is another."""

    name = "litert"
    title = "LiteRT"
    extra = "litert"
    formats: tuple[Format, ...] = ("tflite",)
    module = "ai_edge_litert.interpreter"
    """Where ``Interpreter``, ``OpResolverType`` and ``load_delegate`` are."""
    distribution = "ai-edge-litert"

    def version(self) -> str:
        """See ``Backend.version``."""
        if self.module not in sys.modules:  # one that is imported did not end the process
            processor.check(self.name, self.title)
        try:
            import_module(self.module)
            return str(import_module(self.module.partition(".")[0]).__version__)
        except (ImportError, AttributeError) as error:
            raise UnavailableError(
                f"{self.title} is not usable here: {error}", f"pip install 'edgeloop[{self.extra}]'"
            ) from error

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``."""
        return ("xnnpack", "cpu")

    def holds_lock(self, delegates: Sequence[str]) -> bool:
        """See ``Backend.holds_lock``."""
        return False

    def open(
        self,
        model: Path | bytes,
        *,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None = None,
        digest: str | None = None,
    ) -> LoadedModel:
        """See ``Backend.open``. The Interpreter keeps no prepared weights."""
        backend_version = self.version()
        self._look_at(model)
        check_options(self.name, delegates, self._options)
        prepared: Prepared | None = None
        prepare = unchanged(model, partial(self.prepare, model, delegates, threads))
        attempts: list[Attempt] = []
        own = False
        for request in delegates:
            if request.name in OWN:
                own = True
                continue
            if own or prepared is not None:
                attempts.append(refused(request, EARLIER))
                continue
            try:
                elsewhere = self._elsewhere(model, delegates, request, threads, attempts)
                if elsewhere is not None:
                    return elsewhere
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
                    again = partial(self._prepare_with, request, model, delegates, threads)
                    prepare = unchanged(model, again)
                    driver = libraries.driver_in_process(found)
                    attempts.append(Attempt(delegate=request.name, active=True, driver=driver))
                else:
                    attempts.append(refused(request, "it took none of the model's operations"))
        try:
            prepared = prepared or prepare()
        except (ValueError, RuntimeError) as error:
            raise as_ours(error, self) from error
        placement = Placement(
            backend=self.name,
            backend_version=backend_version,
            requested=tuple(r.name for r in delegates),
            attempts=(),
            operations=0,
            threads=threads,
        )
        return LiteRtModel(prepared, prepare, placement, tuple(attempts), self.title)

    def _look_at(self, model: Path | bytes) -> None:
        """What must be done before the engine is given a model; LiteRT verifies by itself.

        Raises:
            UsageError: it is no model.
            UnavailableError: the engine does not start.
        """

    def _options(self, delegate: str) -> tuple[str, ...]:
        """The options that a delegate's name may carry with this engine."""
        return TFLITE_OPTIONS.get(delegate, ())

    def _elsewhere(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        request: DelegateRequest,
        threads: int,
        before: Sequence[Attempt],
    ) -> LoadedModel | None:
        """The model as another API of the engine runs it; None where a library is to be loaded.

        Args:
            model, delegates, threads: see ``Backend.open``.
            request: the one of the delegates that is tried.
            before: what came of the requests before it.

        Raises:
            UnavailableError: that API is asked for and does not take the model; says why.
        """
        return None

    def prepare(
        self,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        threads: int,
        *external: Any,
    ) -> Prepared:
        """An interpreter ready to run, with delegates that have been loaded."""
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

    def _prepare_with(
        self,
        request: DelegateRequest,
        model: Path | bytes,
        delegates: Sequence[DelegateRequest],
        threads: int,
    ) -> Prepared:
        """The same with a delegate of its own: they are not made to be shared."""
        loaded, _ = self._load(request, model, threads)
        return self.prepare(model, delegates, threads, loaded)

    def _load(
        self, request: DelegateRequest, model: Path | bytes, threads: int
    ) -> tuple[Any, Path]:
        """Load an external delegate's library. Raises UnavailableError with the reason."""
        if not request.library and request.name not in TFLITE_LIBRARIES:
            raise UnavailableError(REFUSALS[request.name])
        found = libraries.find(request)
        libraries.try_elsewhere(self.module, found, request.options, model, threads)
        libraries.driver_in_process(found)
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


def refused(request: DelegateRequest, reason: str) -> Attempt:
    """An attempt that came to nothing."""
    return Attempt(delegate=request.name, active=False, reason=reason)


def _took_some(interpreter: Any, nodes: int) -> bool:
    """Whether a delegate has replaced any of the first ``nodes`` nodes."""
    return any(interpreter._get_op_details(i)["op_name"] == "DELEGATE" for i in range(nodes))


_NO_MODEL = ("Flatbuffer", "model_content", "Could not open", "model identifier")


def as_ours(error: Exception, engine: LiteRtInterpreter) -> UsageError | UnavailableError:
    """The interpreter's complaint about a model, by whose move it is."""
    text = one_line(error)
    if any(sign in text for sign in _NO_MODEL):
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
    return UnavailableError(
        f"{engine.title} cannot prepare the model: {text}",
        "Convert it again, or take another engine: edge doctor lists those that are here",
    )


INTERPRETER = LiteRtInterpreter()
"""LiteRT's own, without its way to the GPU."""
