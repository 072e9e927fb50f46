"""ONNX Runtime.

It catches an execution provider's failure, prints "Falling back" and goes on with the CPU, so what
is active is read from the finished session, never from what was asked.

From 1.29 on it also writes down what it runs and tells its maker, unless it is told not to before
it is loaded. Nothing leaves a device that its owner did not send: this module tells it.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, get_args

from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import ONNX_OPTIONS, ONNX_PROVIDERS, known_options
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Format, Placement, Signature, TensorSpec
from edge_sdk.spec.tensor import Dim, DType
from edge_sdk.text import bytes_text

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_RECORD = "session.record_ep_graph_assignment_info"
_FALLBACK = "takes what the others leave; this ONNX Runtime does not say whether that is anything"
_DTYPES = {"float": "float32", "double": "float64"}


class OnnxRuntime:
    """The backend: finds the engine, picks execution providers, opens models."""

    name = "onnxruntime"
    extra = "onnx"
    formats: tuple[Format, ...] = ("onnx",)

    def version(self) -> str:
        """See ``Backend.version``."""
        try:
            import onnxruntime  # noqa: F401

            return version("onnxruntime")
        except (ImportError, PackageNotFoundError) as error:
            raise UnavailableError(
                f"ONNX Runtime is not usable here: {error}", "pip install 'edgeloop[onnx]'"
            ) from error

    def delegates(self) -> tuple[str, ...]:
        """See ``Backend.delegates``."""
        import onnxruntime

        here = set(onnxruntime.get_available_providers())
        return tuple(name for name, provider in ONNX_PROVIDERS.items() if provider in here)

    def open(
        self,
        model: Path | bytes,
        *,
        delegates: Sequence[DelegateRequest],
        threads: int,
        cache: Path | None = None,
    ) -> LoadedModel:
        """See ``Backend.open``."""
        backend_version = self.version()
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states

        here = self.delegates()
        for request in delegates:
            if not request.library:
                known_options(self.name, request, ONNX_OPTIONS.get(request.name, ()))
        refusals = {r.name: _refusal(r, here) for r in delegates}
        wanted = [r.name for r in delegates if not refusals[r.name]]
        order = list(dict.fromkeys([*wanted, "cpu"]))
        passed = {r.name: r.options for r in delegates}
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry(_RECORD, "1")
        options.log_severity_level = 4  # what it complains of, it raises as well
        try:
            session = onnxruntime.InferenceSession(
                str(model) if isinstance(model, Path) else model,
                options,
                providers=[ONNX_PROVIDERS[name] for name in order],
                provider_options=[passed.get(name, {}) for name in order],
            )
        except UnicodeDecodeError as error:
            raise UsageError(
                "This ONNX model is damaged: a name in it is no text.", "Export it again."
            ) from error
        except _errors(states) as error:
            raise _as_ours(error) from error
        took = _taken(session)
        attempts = [
            _attempt(r.name, refusals[r.name], session.get_providers(), took) for r in delegates
        ]
        if "cpu" not in refusals and (took is None or took["cpu"] or not wanted):
            # Its kernels are in every session; untold, they may have been left nothing to do.
            reason = _FALLBACK if took is None and any(a.active for a in attempts) else ""
            attempts.append(
                Attempt(
                    delegate="cpu",
                    active=True,
                    operations=None if took is None else took["cpu"],
                    reason=reason,
                )
            )
        return OnnxRuntimeModel(
            session,
            _errors(states),
            Placement(
                backend=self.name,
                backend_version=backend_version,
                requested=tuple(r.name for r in delegates),
                attempts=tuple(attempts),
                operations=None if took is None else took.total(),
                threads=threads,
            ),
        )


class OnnxRuntimeModel:
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
        self._inputs = tuple(t.name for t in self.signature.inputs)
        self._outputs = [t.name for t in self.signature.outputs]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``."""
        feeds = dict(zip(self._inputs, inputs, strict=True))
        try:
            outputs: list[Array] = self._session.run(self._outputs, feeds)
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

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``. Before 1.24 it is not told which node went where."""
        return self._placement

    def close(self) -> None:
        """See ``LoadedModel.close``."""
        self._session = None


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


def _taken(session: Any) -> Counter[str] | None:
    """How many operations each delegate took; None where ONNX Runtime is too old to tell."""
    tell = getattr(session, "get_provider_graph_assignment_info", None)
    if tell is None:
        return None
    names = {provider: name for name, provider in ONNX_PROVIDERS.items()}
    took: Counter[str] = Counter()
    for part in tell():
        took[names.get(part.ep_name, part.ep_name)] += len(part.get_nodes())
    return took


def _attempt(
    name: str, refusal: str, providers: Sequence[str], took: Counter[str] | None
) -> Attempt:
    """What came of one request."""
    if not refusal and ONNX_PROVIDERS[name] not in providers:
        refusal = "ONNX Runtime gave it up when it built the session"
    if not refusal and took is not None and not took[name]:
        refusal = "it took none of the model's operations"
    count = 0 if refusal else None if took is None else took[name]
    return Attempt(delegate=name, active=not refusal, operations=count, reason=refusal)


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
    if "External data path" in text:
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
