"""ONNX Runtime.

Left alone it catches an execution provider's failure, prints "Falling back" and goes on with the
CPU. It is told not to; and what is active is read from the finished session, never from what was
asked.

A provider is built in, or comes as a plugin: a package of its own with a library that is registered
(``onnx_plugins``). Built-in providers and plugins do not go together in one session.

From 1.29 on it also writes down what it runs and tells its maker, unless it is told not to before
it is loaded. Nothing leaves a device that its owner did not send: this module tells it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from edge_sdk.backends import onnx_plugins, processor
from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel, closed
from edge_sdk.backends.delegates import EARLIER, ONNX_OPTIONS, ONNX_PROVIDERS, check_options
from edge_sdk.backends.notices import overheard
from edge_sdk.backends.partitions import Share
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement, Signature, TensorSpec
from edge_sdk.spec.tensor import Dim, DType
from edge_sdk.text import bytes_text

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_RECORD = "session.record_ep_graph_assignment_info"
_FALLBACK = "takes what the others leave; this ONNX Runtime does not say whether that is anything"
_CPU = ONNX_PROVIDERS["cpu"]
_DTYPES = {"float": "float32", "double": "float64"}


class OnnxRuntime:
    """The backend: finds the engine, picks execution providers, opens models."""

    name = "onnxruntime"
    extra = "onnx"
    formats: tuple[Format, ...] = ("onnx",)

    def version(self) -> str:
        """See ``Backend.version``."""
        if self.name not in sys.modules:  # one that is imported did not end the process
            processor.check(self.name, "ONNX Runtime")
        try:
            import onnxruntime

            # By itself: its builds are distributed under half a dozen names.
            return str(onnxruntime.__version__)
        except ImportError as error:
            raise UnavailableError(
                f"ONNX Runtime is not usable here: {error}", "pip install 'edgeloop[onnx]'"
            ) from error

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``."""
        import onnxruntime

        here = set(onnxruntime.get_available_providers()) - onnx_plugins.registered()
        return tuple(name for name, provider in ONNX_PROVIDERS.items() if provider in here)

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
        """See ``Backend.open``."""
        backend_version = self.version()
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        here = self.delegates()
        check_options(self.name, delegates, lambda name: ONNX_OPTIONS.get(name, ()))
        refusals = {r.name: _refusal(r, here) for r in delegates}
        for request in delegates:
            if refusals[request.name] and request.name in onnx_plugins.PACKAGES:
                refusals[request.name] = onnx_plugins.obstacle(request.name)
        for request in _after_cpu(delegates):
            refusals[request.name] = refusals[request.name] or EARLIER
        wanted = [r for r in delegates if not refusals[r.name]]
        if first := next((r for r in wanted if r.name != "cpu"), None):
            alike = first.name in here
            for request in wanted:
                if request.name != "cpu" and (request.name in here) is not alike:
                    refusals[request.name] = EARLIER
        failures = _errors(states)

        def session_of(requests: Sequence[DelegateRequest]) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.add_session_config_entry(_RECORD, "1")
            options.log_severity_level = 4  # what it complains of, it raises as well
            plugged = [r for r in requests if r.name not in here]
            for request in plugged:
                options.add_provider_for_devices(
                    onnx_plugins.devices(request.name)[:1], request.options
                )
            built_in = [r for r in requests if r.name in here and r.name != "cpu"]
            given: dict[str, Any] = {}
            if not plugged:
                given["providers"] = [*(ONNX_PROVIDERS[r.name] for r in built_in), _CPU]
                given["provider_options"] = [*(r.options for r in built_in), {}]
            with overheard():
                return onnxruntime.InferenceSession(
                    str(model) if isinstance(model, Path) else model,
                    options,
                    enable_fallback=0,
                    **given,
                )

        try:
            session = _built(session_of, delegates, refusals, failures)
        except UnicodeDecodeError as error:
            raise UsageError(
                "This ONNX model is damaged: a name in it is no text.", "Export it again."
            ) from error
        except failures as error:
            raise _as_ours(error) from error
        wanted = [r for r in delegates if not refusals[r.name]]
        took = _taken(session)
        attempts = [
            _attempt(r.name, refusals[r.name], session.get_providers(), took) for r in delegates
        ]
        left = None if took is None else took.get("cpu", Share())
        if "cpu" not in refusals and (left is None or left.operations or not wanted):
            # Its kernels are in every session; untold, they may have been left nothing to do.
            reason = _FALLBACK if left is None and any(a.active for a in attempts) else ""
            attempts.append(
                Attempt(
                    delegate="cpu",
                    active=True,
                    operations=None if left is None else left.operations,
                    kinds={} if left is None else dict(sorted(left.kinds.items())),
                    reason=reason,
                )
            )
        return OnnxRuntimeModel(
            session,
            failures,
            Placement(
                backend=self.name,
                backend_version=backend_version,
                requested=tuple(r.name for r in delegates),
                attempts=tuple(attempts),
                operations=None if took is None else sum(s.operations for s in took.values()),
                threads=threads,
            ),
        )


def _built(
    session_of: Callable[[Sequence[DelegateRequest]], Any],
    delegates: Sequence[DelegateRequest],
    refusals: dict[str, str],
    failures: tuple[type[Exception], ...],
) -> Any:
    """A session with all that is not refused; who makes it fail is found out and refused as well.

    Raises:
        Exception: one of ``failures``, where it fails without any delegate too.
    """
    caught: tuple[type[Exception], ...] = (*failures, ValueError, RuntimeError)
    wanted = [r for r in delegates if not refusals[r.name]]
    try:
        return session_of(wanted)
    except caught:
        if not any(r.name != "cpu" for r in wanted):
            raise
    plain = session_of([])
    for request in wanted:
        if request.name != "cpu":
            try:
                session_of([request])
            except caught as error:
                refusals[request.name] = f"it could not take the model: {_line(error)}"
    rest = [r for r in delegates if not refusals[r.name] and r.name != "cpu"]
    return session_of(rest) if rest else plain


class OnnxRuntimeModel(LoadedModel):
    """One model in one session."""

    def __init__(
        self, session: Any, errors: tuple[type[Exception], ...], placement: Placement
    ) -> None:
        self._session = session
        self._errors = errors
        self._placement = placement
        self.signature = Signature(
            inputs=tuple(_tensor(node) for node in session.get_inputs()),
            outputs=tuple(_tensor(node) for node in session.get_outputs()),
            name="main",
        )
        self._run = session._sess.run
        self._inputs = tuple(t.name for t in self.signature.inputs)
        self._outputs = [t.name for t in self.signature.outputs]
        if not set(self._inputs).isdisjoint(self._outputs):
            self.run = self._run_apart  # type: ignore[method-assign]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``.

        By the function that ``InferenceSession.run`` itself calls, after checks of its own that the
        session has made already, and without its retry: a provider that fails is to be heard of.
        """
        try:
            outputs: list[Array] = self._run(
                self._outputs,
                dict(zip(self._inputs, inputs)),  # noqa: B905 - strict costs 0.1 us
                None,
            )
        except self._errors as error:
            if wanted := _TOO_MUCH.search(str(error)):
                raise UnavailableError(
                    f"The model asks for {bytes_text(int(wanted[1]))} at once, and there is not so "
                    "much memory here.",
                    "Look at the shapes inside it: one is far too large.",
                ) from error
            raise UsageError(
                f"ONNX Runtime cannot run the model on these inputs: {_line(error)}",
                "Check the inputs' shapes and values.",
            ) from error
        return outputs

    def _run_apart(self, inputs: Sequence[Array]) -> list[Array]:
        """The same where an input is an output too: up to 1.23 that is the caller's own array."""
        outputs = OnnxRuntimeModel.run(self, inputs)
        pairs = zip(self._outputs, outputs, strict=True)
        return [array.copy() if name in self._inputs else array for name, array in pairs]

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``. Before 1.24 it is not told which node went where."""
        return self._placement

    def close(self) -> None:
        """See ``LoadedModel.close``."""
        self._session, self._run = None, closed


def _after_cpu(delegates: Sequence[DelegateRequest]) -> Sequence[DelegateRequest]:
    """What comes after ``cpu``, which takes all that it is given."""
    names = [request.name for request in delegates]
    return delegates[names.index("cpu") + 1 :] if "cpu" in names else ()


def _refusal(request: DelegateRequest, here: Sequence[str]) -> str:
    """Why this build cannot have that delegate; empty if it can be tried."""
    if request.library:
        return "ONNX Runtime does not load TFLite delegate libraries"
    if request.name in here:
        return ""
    provider = ONNX_PROVIDERS.get(request.name)
    if provider is None:
        return f"ONNX Runtime has no {request.name} provider"
    return f"this build of ONNX Runtime lacks {provider}; it has {', '.join(here)}"


def _taken(session: Any) -> dict[str, Share] | None:
    """What each delegate took; None where ONNX Runtime is too old to tell."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    if tell is None:
        return None
    names = {provider: name for name, provider in ONNX_PROVIDERS.items()}
    took: dict[str, Share] = {}
    for part in tell():
        share = took.setdefault(names.get(part.ep_name, part.ep_name), Share())
        share.partitions += 1
        share.kinds.update(node.op_type for node in part.get_nodes())
    return took


def _attempt(
    name: str, refusal: str, providers: Sequence[str], took: dict[str, Share] | None
) -> Attempt:
    """What came of one request."""
    if not refusal and ONNX_PROVIDERS[name] not in providers:
        refusal = "ONNX Runtime gave it up when it built the session"
    share = None if took is None else took.get(name, Share())
    if not refusal and share is not None and not share.operations:
        none = "nothing was left for it" if name == "cpu" else "it took none of the operations"
        refusal = none
    if refusal:
        return Attempt(delegate=name, active=False, reason=refusal)
    driver, limits = onnx_plugins.driver(name)
    return Attempt(
        delegate=name,
        active=True,
        operations=None if share is None else share.operations,
        kinds={} if share is None else dict(sorted(share.kinds.items())),
        partitions=None if share is None or name == "cpu" else share.partitions,
        driver=driver,
        reason=limits,
    )


def _tensor(node: Any) -> TensorSpec:
    """One of ONNX Runtime's ``NodeArg`` as a word; a nameless unknown length becomes ``dimN``.

    Raises:
        UnavailableError: it is no tensor (a sequence, a map), or of a type that numpy lacks.
    """
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    dtype = _DTYPES.get(kind, kind)
    if dtype not in get_args(DType):
        raise UnavailableError(
            f"{node.name!r} of the model is a {node.type}, which edgeloop cannot pass on.",
            "Export the model with plain tensors as inputs and outputs.",
        )
    shape: tuple[Dim, ...] = tuple(
        dim if isinstance(dim, int) else dim or f"dim{axis}" for axis, dim in enumerate(node.shape)
    )
    return TensorSpec(name=node.name, dtype=dtype, shape=shape)


def _errors(states: Any) -> tuple[type[Exception], ...]:
    """Everything that ONNX Runtime raises by itself; the classes have no base of their own."""
    return tuple(
        kind
        for kind in vars(states).values()
        if isinstance(kind, type) and issubclass(kind, Exception)
    )


_MISSING = re.compile(
    r"(?:Fatal error: (?P<custom>\S+?)\(-?\d+\) is not a registered function/op"
    r"|No Op registered for (?P<unknown>\S+) with domain_version"
    r"|Could not find an implementation for (?P<kernel>\S+?)\()"
)

_TOO_MUCH = re.compile(r"Failed to allocate memory for requested buffer of size (\d+)")
_PLACE = re.compile(r"/\S*onnxruntime/\S+:\d+ .*?\)(?: \[[^]]*\])? ")
_NEWER = re.compile(r"Opset (\d+) is under development.* till opset (\d+)")


def _as_ours(error: Exception) -> UsageError | UnavailableError:
    """ONNX Runtime's complaint about a model, by whose move it is."""
    text = _line(error)
    if missing := _MISSING.search(text):
        operation = next(filter(None, missing.groups()))
        return UnavailableError(
            f"The model needs the operation {operation}, which this ONNX Runtime does not have.",
            "pip install --upgrade onnxruntime   # or export with ONNX's own operations only",
        )
    if newer := _NEWER.search(text):
        return UnavailableError(
            f"The model is of opset {newer[1]}; this ONNX Runtime reads up to opset {newer[2]}.",
            "pip install --upgrade onnxruntime   # or export with an older opset",
        )
    if "External data path" in text or "get file size: No such file" in text:
        return UsageError(
            "The model keeps its weights in another file, which does not come with it.",
            "Save it whole: onnx.save(onnx.load('model.onnx'), 'whole.onnx')",
        )
    return UsageError(
        f"This is not an ONNX model that ONNX Runtime reads: {text}",
        "Check the file with onnx.checker.check_model, or export it again.",
    )


def _line(error: Exception) -> str:
    """Its words on one line, without the places in ONNX Runtime's own source."""
    return _PLACE.sub("", " ".join(str(error).split()))


BACKEND = OnnxRuntime()
