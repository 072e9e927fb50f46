"""One model in one TFLite Interpreter, LiteRT's or that of a predecessor.

What an Interpreter does that one must know:

* It serves one thread at a time and does not say so: two that feed it at once get each other's
  answers. So calls take turns here.
* Its own ``invoke`` refuses as long as anybody holds a reference to what is inside it. We hold one,
  to the wrapper's functions, which saves a layer of Python in each call; the reason for the refusal
  is views of its memory, and none is ever handed out here.
* Each signature is a subgraph with tensors of its own; the variables are shared between them.
* ``reset_all_variables`` resets the variable tensors of recurrent operations, but not variables
  made by ``VAR_HANDLE``, which is what converters make of a model's state today; nor does
  allocating the tensors anew. Only a new interpreter does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from edge_sdk.backends.base import Array, LoadedModel, closed
from edge_sdk.backends.entry import Entry
from edge_sdk.backends.partitions import Share, shares
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Placement, Quantization, Signature, TensorSpec
from edge_sdk.spec.tensor import Dim

T = TypeVar("T")
Prepared = tuple[Any, int]
"""An interpreter with its tensors allocated, and how many nodes it had before XNNPACK took some."""

DEFAULT_SIGNATURE = "serving_default"


class EntryPoint(Entry):
    """One signature of a model: its tensors, and how it is run."""

    def __init__(self, home: LiteRtModel, interpreter: Any, name: str, subgraph: int) -> None:
        super().__init__(home)
        self._subgraph = subgraph
        inputs, outputs, names = tensors_of(interpreter, name, subgraph)
        self.signature = Signature(
            inputs=tuple(tensor_spec(detail, names) for detail in inputs),
            outputs=tuple(tensor_spec(detail, names) for detail in outputs),
            name=name,
        )
        self._inputs = tuple(int(detail["index"]) for detail in inputs)
        self._outputs = tuple(int(detail["index"]) for detail in outputs)
        self._loaded_shapes = [tuple(int(n) for n in detail["shape"]) for detail in inputs]
        self._resizable = any(
            isinstance(n, str) for tensor in self.signature.inputs for n in tensor.shape
        )
        if len(self._inputs) == len(self._outputs) == 1 and not self._resizable:
            (self._input,), (self._output,) = self._inputs, self._outputs
            self.run = self._run_one  # type: ignore[method-assign]
        self.attach(interpreter)

    def attach(self, interpreter: Any) -> None:
        """Run in this interpreter from now on."""
        wrapper, subgraph = interpreter._interpreter, self._subgraph
        self._resize, self._allocate = wrapper.ResizeInputTensor, wrapper.AllocateTensors
        self._set, self._invoke, self._get = wrapper.SetTensor, wrapper.Invoke, wrapper.GetTensor
        if subgraph:
            self._resize = partial(self._resize, subgraph_index=subgraph)
            self._allocate = partial(self._allocate, subgraph)
            self._set = partial(self._set, subgraph_index=subgraph)
            self._invoke = partial(self._invoke, subgraph)
            self._get = partial(self._get, subgraph_index=subgraph)
            self._allocate()
        self._shapes = list(self._loaded_shapes)

    def detach(self) -> None:
        """Let go of the interpreter."""
        self._resize = self._allocate = self._set = self._invoke = self._get = closed

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``. Outputs are copies; the interpreter keeps nothing of ours."""
        self._acquire()
        try:
            if self._resizable:
                self._fit([array.shape for array in inputs])
            for index, array in zip(self._inputs, inputs):  # noqa: B905 - strict costs 0.1 us
                self._set(index, array)
            self._invoke()
            return [self._get(index) for index in self._outputs]
        except (ValueError, RuntimeError) as error:
            raise self._home.failed(error) from error
        finally:
            self._release()

    def _run_one(self, inputs: Sequence[Array]) -> list[Array]:
        """The same, written out for one input and one output of fixed shapes: a third faster."""
        self._acquire()
        try:
            self._set(self._input, inputs[0])
            self._invoke()
            return [self._get(self._output)]
        except (ValueError, RuntimeError) as error:
            raise self._home.failed(error) from error
        finally:
            self._release()

    def _fit(self, shapes: list[tuple[int, ...]]) -> None:
        """Make room for all inputs at once; allocating moves tensors and forgets their contents."""
        if shapes == self._shapes:
            return
        self._shapes = []  # unknown, until all of it has gone well
        for index, shape in zip(self._inputs, shapes, strict=True):
            self._resize(index, np.array(shape, np.int32), strict=False)
        self._allocate()
        self._shapes = shapes


class LiteRtModel(EntryPoint):
    """One model in one interpreter, run through its first subgraph.

    Args:
        prepare: makes the interpreter; called once, and again by ``reset``.
        placement: what was requested; what came of it is worked out when it is asked for.
        attempts: delegates other than XNNPACK that were tried.
        engine: what people call it.
    """

    def __init__(
        self,
        prepared: Prepared,
        prepare: Callable[[], Prepared],
        placement: Placement,
        attempts: tuple[Attempt, ...],
        engine: str = "LiteRT",
    ) -> None:
        self.lock = Lock()
        self._prepare = prepare
        self._engine = engine
        self._interpreter, self._before_xnnpack = prepared
        self._placement = placement
        self._attempts = attempts
        self._subgraphs = {
            str(name): int(self._interpreter._interpreter.GetSubgraphIndexFromSignature(name))
            for name in self._interpreter._get_full_signature_list()
        }
        first = next((n for n, at in self._subgraphs.items() if at == 0), DEFAULT_SIGNATURE)
        self._subgraphs = {first: 0, **self._subgraphs}
        self._entries: dict[str, EntryPoint] = {first: self}
        super().__init__(self, self._interpreter, first, 0)

    @property
    def signatures(self) -> tuple[str, ...]:
        """See ``LoadedModel.signatures``."""
        return tuple(self._subgraphs)

    def entry(self, name: str) -> LoadedModel:
        """See ``LoadedModel.entry``."""
        with self.lock:
            self._check_open()
            if name not in self._entries:
                self._entries[name] = EntryPoint(
                    self, self._interpreter, name, self._subgraphs[name]
                )
            return self._entries[name]

    def reset(self) -> None:
        """See ``LoadedModel.reset``: costs a load where the model has variables."""
        with self.lock:
            self._check_open()
            if not has_variables(self._interpreter):
                self._interpreter.reset_all_variables()
                return
            self._interpreter, self._before_xnnpack = self._prepare()
            for entry in self._entries.values():
                entry.attach(self._interpreter)

    def failed(self, error: Exception) -> UsageError | UnavailableError:
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
        with self.lock:
            self._check_open()
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
        with self.lock:
            for entry in self._entries.values():
                entry.detach()
            self._interpreter = self._prepare = None  # type: ignore[assignment]

    def _check_open(self) -> None:
        if self._interpreter is None:
            closed()


def unchanged(model: Path | bytes, make: Callable[[], T]) -> Callable[[], T]:
    """``make``, which reads a model anew, for as long as it is still the one that was loaded.

    A file may be replaced below a session, by an update: another model must not take its place
    there, under the old one's name and signature.

    Raises:
        UnavailableError: by what is returned; it is another file now, or there is none.
    """
    if isinstance(model, bytes):
        return make
    path, before = model, _identity(model)

    def again() -> T:
        if _identity(path) != before:
            raise UnavailableError(
                f"{path} is no longer the file that was loaded, so it cannot be read once more.",
                "Load what lies there now: edge_sdk.load(…)",
            )
        return make()

    return again


def _identity(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


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


_MAY_LEAD_TO_VARIABLES = frozenset({"VAR_HANDLE", "CALL_ONCE", "WHILE", "IF"})
"""Operations that are variables, or run another subgraph, whose nodes nobody tells of."""


def has_variables(interpreter: Any) -> bool:
    """Whether a model may have variables; nodes are told of the first subgraph alone."""
    nodes = range(interpreter._interpreter.NumNodes())
    return len(interpreter._get_full_signature_list()) > 1 or any(
        interpreter._get_op_details(node)["op_name"] in _MAY_LEAD_TO_VARIABLES for node in nodes
    )


Details = Sequence[dict[str, Any]]
"""What an interpreter tells of some of its tensors."""


def tensors_of(
    interpreter: Any, signature: str, subgraph: int
) -> tuple[Details, Details, dict[int, str]]:
    """A signature's inputs and outputs, in the engine's order, and their names by their indices.

    Args:
        interpreter: asked; it need not be prepared.
        signature: by name; one that is not there stands for the first subgraph's tensors, which
            have no names but their own.
        subgraph: the signature's.
    """
    tensors = interpreter._get_full_signature_list().get(signature)
    names = {} if tensors is None else _names(tensors)
    if not subgraph:
        return interpreter.get_input_details(), interpreter.get_output_details(), names
    assert tensors is not None, "only the first subgraph may be without a signature"
    inputs, outputs = (
        [interpreter._get_tensor_details(i, subgraph) for i in tensors[side].values()]
        for side in ("inputs", "outputs")
    )
    return inputs, outputs, names


def _names(tensors: dict[str, dict[str, int]]) -> dict[int, str]:
    return {
        int(index): str(name)
        for side in ("inputs", "outputs")
        for name, index in tensors[side].items()
    }


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


def one_line(error: Exception) -> str:
    """An engine's words on one line."""
    return " ".join(str(error).split())
