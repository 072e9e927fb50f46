"""One model as LiteRT's CompiledModel runs it: its signatures, their buffers, and what runs where.

What it does that one must know:

* ``run_by_index`` holds Python's lock for the whole inference: no other thread of the program runs
  meanwhile. The Interpreter (``litert``) lets it go, and is what edgeloop takes by default.
* It says nothing of quantization, open lengths or operations; an Interpreter that is never prepared
  is asked for those.
* Buffers take no 64-bit numbers, no int16 and no text.
* Each is as long as the shapes say before anything has run. An output whose length depends on the
  input's *values* (``WHERE``, non-maximum suppression) is cut to that, or answered with what an
  earlier run left; and a tensor that is input and output at once is answered with whatever lies in
  memory. It says nothing of either, so such models are refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from edge_sdk.backends.base import Array, DelegateRequest, LoadedModel, closed
from edge_sdk.backends.entry import Entry
from edge_sdk.backends.litert_interpreter import INTERPRETER, as_ours
from edge_sdk.backends.litert_model import (
    DEFAULT_SIGNATURE,
    Details,
    has_variables,
    one_line,
    taken,
    tensor_spec,
    tensors_of,
    unchanged,
)
from edge_sdk.backends.notices import complaints, overheard
from edge_sdk.backends.partitions import shares
from edge_sdk.backends.tflite_tensors import Tensors
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec import Attempt, Placement, Signature

_PASSED = {"float16", "float32", "int8", "uint8", "int32", "bool"}
_INSTEAD = "Load it with the Interpreter: backend='litert'"


class CompiledEntry(Entry):
    """One signature of a compiled model: its buffers, and how it is run.

    Args:
        home: the model.
        shown: an Interpreter of it, which is only asked; or what its file says, of a model that an
            Interpreter and this class have found good before.
        name: the signature's.
    """

    def __init__(self, home: CompiledLiteRtModel, shown: Any, name: str) -> None:
        super().__init__(home)
        self._index, self._key, subgraph = home.places[name]
        described = home.compiled.get_signature_by_index(self._index)
        if isinstance(shown, Tensors):
            self.signature = Signature(
                inputs=tuple(shown.named[each] for each in described["inputs"]),
                outputs=tuple(shown.named[each] for each in described["outputs"]),
                name=name,
            )
            self._loaded_shapes = [shown.shapes[each] for each in described["inputs"]]
        else:
            inputs, outputs, names = tensors_of(shown, name, subgraph)
            inputs = _in_order(described["inputs"], inputs, names)
            outputs = _in_order(described["outputs"], outputs, names)
            self.signature = Signature(
                inputs=tuple(tensor_spec(each, names) for each in inputs),
                outputs=tuple(tensor_spec(each, names) for each in outputs),
                name=name,
            )
            _check_passed(self.signature, inputs, outputs)
            _check_lengths(self.signature, shown, outputs, subgraph)
            self._loaded_shapes = [tuple(int(n) for n in each["shape"]) for each in inputs]
        tensors = (*self.signature.inputs, *self.signature.outputs)
        fixed = all(isinstance(n, int) for tensor in tensors for n in tensor.shape)
        self._told = fixed and isinstance(shown, Tensors)
        self._open = any(isinstance(n, str) for t in self.signature.inputs for n in t.shape)
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._readings: list[tuple[Any, int, Any, tuple[int, ...]]] = []
        self.attach()

    def attach(self) -> None:
        """Run in the home's compiled model from now on."""
        self._compiled = self._home.compiled
        self._run = self._compiled.run_by_index
        self._shapes = self._loaded_shapes
        said: list[bytes] = []
        try:
            with overheard() as said:
                self._make_room()
                # Buffers have an environment of their own, which is made, and tells, at the first
                # that is written.
                for buffer, tensor, shape in zip(
                    self._inputs[:1], self.signature.inputs, self._shapes, strict=False
                ):
                    buffer.write(np.zeros(shape, tensor.dtype))
        except (ValueError, RuntimeError) as error:
            raise as_ours(RuntimeError(plain_words(error, said)), INTERPRETER) from error

    def detach(self) -> None:
        """Let go of the compiled model."""
        self._run = closed
        self._compiled, self._inputs, self._outputs, self._readings = None, [], [], []

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """See ``LoadedModel.run``."""
        self._acquire()  # not ``with``, which would cost as much again
        try:
            if self._open and (shapes := [array.shape for array in inputs]) != self._shapes:
                with overheard():  # what it complains of, it raises as well
                    self._fit(shapes)
            for buffer, array in zip(self._inputs, inputs):  # noqa: B905 - strict costs 0.1 us
                buffer.write(array)
            self._run(self._index, self._inputs, self._outputs)
            return [
                buffer.read(count, dtype).reshape(shape)
                for buffer, count, dtype, shape in self._readings
            ]
        except (ValueError, RuntimeError) as error:
            raise self._home.failed(error) from error
        finally:
            self._release()

    def _make_room(self) -> None:
        """Buffers for the shapes as they are, and how to read the outputs."""
        self._inputs = self._compiled.create_input_buffers(self._index)
        self._outputs = self._compiled.create_output_buffers(self._index)
        self._readings = []
        for buffer, tensor, shape in zip(
            self._outputs, self.signature.outputs, self._output_shapes(), strict=True
        ):
            self._readings.append(
                (buffer, int(np.prod(shape, dtype=np.int64)), np.dtype(tensor.dtype), shape)
            )

    def _output_shapes(self) -> list[tuple[int, ...]]:
        """As they are now. To ask has all operations prepared, which costs as much as a run."""
        if self._told:
            return [tensor.shape for tensor in self.signature.outputs]  # type: ignore[misc]
        details = self._compiled.get_output_tensor_details(self._key)
        names = self._compiled.get_signature_by_index(self._index)["outputs"]
        return [tuple(int(n) for n in details[name]["shape"]) for name in names]

    def _fit(self, shapes: list[tuple[int, ...]]) -> None:
        if self._compiled is None:
            closed()
        self._shapes = []  # unknown, until all of it has gone well
        for index, shape in enumerate(shapes):
            self._compiled.resize_input_tensor(index, shape, self._index)
        self._make_room()
        self._shapes = shapes


class CompiledLiteRtModel(CompiledEntry):
    """One compiled model, run through the signature of its first subgraph.

    Args:
        compiled: LiteRT's.
        shown: see ``CompiledEntry``.
        model: what it was made of.
        placement: what was requested; with ``settled``, of how many operations.
        attempts: what came of the requests; the engine's own kernels are left out unless
            ``settled``, and worked out when they are asked for.
        anew: makes the compiled model again, for ``reset``.
        settled: whether the attempts are told completely.
    """

    def __init__(
        self,
        compiled: Any,
        shown: Any,
        model: Path | bytes,
        placement: Placement,
        attempts: Sequence[Attempt],
        *,
        anew: Callable[[], Any],
        settled: bool = False,
    ) -> None:
        self.lock = Lock()
        self.compiled = compiled
        self._anew = anew
        self._shown = unchanged(model, partial(unprepared, model))
        requested = [DelegateRequest(name=name) for name in placement.requested]
        self._interpreter = unchanged(
            model, partial(INTERPRETER.prepare, model, requested, placement.threads)
        )
        self._placement = placement
        self._attempts = tuple(attempts)
        self._settled = settled
        self.places = _places(compiled, shown)
        first = next(iter(self.places))
        self._entries: dict[str, CompiledEntry] = {first: self}
        super().__init__(self, shown, first)

    @property
    def signatures(self) -> tuple[str, ...]:
        """See ``LoadedModel.signatures``."""
        return tuple(self.places)

    def entry(self, name: str) -> LoadedModel:
        """See ``LoadedModel.entry``."""
        with self.lock:
            self._check_open()
            if name not in self._entries:
                self._entries[name] = CompiledEntry(self, self._shown(), name)
            return self._entries[name]

    def failed(self, error: Exception) -> UsageError | UnavailableError:
        """What a failed run is: the inputs' fault, unless a delegate had a part in it."""
        active = [each.delegate for each in self._attempts if each.active]
        if active and active[0] not in ("xnnpack", "cpu"):
            return UnavailableError(
                f"LiteRT failed with the delegate {active[0]!r}: {plain_words(error)}",
                "Load the model without it.",
            )
        return UsageError(
            f"LiteRT cannot run the model on these inputs: {plain_words(error)}",
            "Check the inputs' shapes and values.",
        )

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``. What XNNPACK has is what the same engine's Interpreter
        gives it: both hand it the same graph by the same rules."""
        self._check_open()
        if self._settled:
            return self._placement_of(self._attempts, self._placement.operations)
        interpreter, before = self._interpreter()
        _, xnnpack, plain = shares(interpreter, before)
        attempts = list(self._attempts)
        if xnnpack.operations:
            attempts.append(taken("xnnpack", xnnpack))
        elif "xnnpack" in self._placement.requested:
            reason = "it has no kernel for any operation here"
            attempts.append(Attempt(delegate="xnnpack", active=False, reason=reason))
        if plain.operations:
            attempts.append(taken("cpu", plain))
        return self._placement_of(attempts, xnnpack.operations + plain.operations)

    def reset(self) -> None:
        """See ``LoadedModel.reset``: costs a load where the model has variables."""
        self._check_open()
        if not has_variables(self._shown()):
            return  # asked only here: going through the operations costs a third of a load
        with self.lock:
            self._check_open()
            self.compiled = self._anew()
            for entry in self._entries.values():
                entry.attach()

    def close(self) -> None:
        """See ``LoadedModel.close``."""
        with self.lock:
            for entry in self._entries.values():
                entry.detach()
            if self.compiled is not None:
                with overheard():
                    self.compiled.close()
                    self.compiled = None

    def _check_open(self) -> None:
        if self.compiled is None:
            closed()

    def _placement_of(self, attempts: Sequence[Attempt], operations: int | None) -> Placement:
        return Placement(
            backend=self._placement.backend,
            backend_version=self._placement.backend_version,
            requested=self._placement.requested,
            attempts=tuple(attempts),
            operations=operations,
            threads=self._placement.threads,
        )


def _places(compiled: Any, shown: Any) -> dict[str, tuple[int, str, int]]:
    """Each signature's index, LiteRT's key for it and its subgraph; the first subgraph's first.

    Raises:
        UnavailableError: none is the first subgraph's.
    """
    keys = [
        compiled.get_signature_by_index(index)["key"]
        for index in range(compiled.get_num_signatures())
    ]
    if isinstance(shown, Tensors):
        return {keys[0] if shown.signature else DEFAULT_SIGNATURE: (0, keys[0], 0)}
    if not shown._get_full_signature_list():
        return {DEFAULT_SIGNATURE: (0, keys[0], 0)}  # it has made one up
    subgraph = shown._interpreter.GetSubgraphIndexFromSignature
    places = {key: (index, key, int(subgraph(key))) for index, key in enumerate(keys)}
    first = [name for name, (_, _, at) in places.items() if at == 0]
    if not first:
        raise UnavailableError(
            "The model's first subgraph has no signature, and LiteRT's CompiledModel runs "
            "signatures alone.",
            _INSTEAD,
        )
    return {first[0]: places[first[0]], **places}


def _in_order(wanted: Sequence[str], details: Details, names: dict[int, str]) -> Details:
    """Tensors in LiteRT's order of their names."""
    by_name = {names.get(int(each["index"]), each["name"]): each for each in details}
    return [by_name[name] for name in wanted]


def _check_passed(signature: Signature, inputs: Details, outputs: Details) -> None:
    """Whether buffers pass it all on. Raises UnavailableError with what they do not."""
    for tensor in (*signature.inputs, *signature.outputs):
        if tensor.dtype not in _PASSED:
            raise UnavailableError(
                f"{tensor.name!r} of the model is {tensor.dtype}, which LiteRT's CompiledModel "
                "does not pass on.",
                _INSTEAD,
            )
    fed = {int(each["index"]) for each in inputs}
    for tensor, detail in zip(signature.outputs, outputs, strict=True):
        if int(detail["index"]) in fed:
            raise UnavailableError(
                f"{tensor.name!r} of the model is an input and an output at once, which LiteRT's "
                "CompiledModel answers with whatever lies in memory.",
                _INSTEAD,
            )


def _check_lengths(signature: Signature, shown: Any, outputs: Details, subgraph: int) -> None:
    """Whether the outputs' shapes follow from the inputs'. Raises UnavailableError if not.

    An interpreter has no memory for an output, before it has run, whose shape only running tells.
    """
    if all(isinstance(n, int) for tensor in signature.outputs for n in tensor.shape):
        return
    try:
        shown._interpreter.AllocateTensors(subgraph)
    except (ValueError, RuntimeError):  # not with these kernels: on the GPU, perhaps
        return
    for tensor, detail in zip(signature.outputs, outputs, strict=True):
        try:
            shown._interpreter.GetTensor(int(detail["index"]), subgraph)
        except ValueError as error:
            raise UnavailableError(
                f"The shape of {tensor.name!r} depends on the values of the inputs, which LiteRT's "
                "CompiledModel does not answer.",
                _INSTEAD,
            ) from error


def unprepared(model: Path | bytes) -> Any:
    """An Interpreter that is only asked what the model is. Raises what is wrong with it."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    content = {"model_content": model} if isinstance(model, bytes) else {"model_path": str(model)}
    try:
        return Interpreter(
            **content,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
    except (ValueError, RuntimeError) as error:
        raise as_ours(error, INTERPRETER) from error


_PLACES = re.compile(
    r"CompiledModel error: code=\d+, message=|\b(?:ERROR|Error|Warning): (?=\[|\w)|└ ?"
    r"|\[[\w./-]+:\d+\] ?|\([\w./-]+:\d+\)|\b[EWI]\d{4} [\d:.]+ +\d+ [\w./-]+:\d+\] ?"
    r"|at operator\(\)|=== Source Location Trace: ===|\bthird_party/\S+"
)
"""What LiteRT puts around its words: levels, times, and places in its own source."""


def plain_words(error: Exception, said: Sequence[bytes] = ()) -> str:
    """LiteRT's words on one line, those of its log with them, each once."""
    text = f"{one_line(error)} {complaints(said)}"
    parts = [" ".join(part.split()).strip(". ") for part in _PLACES.split(text)]
    return "; ".join(dict.fromkeys(part for part in parts if part))
