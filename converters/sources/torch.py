"""PyTorch models: a module in memory, a function that makes one, ``.pt2``, TorchScript.

Whatever way it came, the original is run as it is: eagerly, in evaluation mode, without gradients.
What engines are given is the same model as one function of a flat list of tensors
(``TorchSource.flat``), for each of them names nested inputs and outputs in a way of its own; ours
are ``forward``'s parameters, and ``output``, a dict's keys, or ``output_0``, ``output_1``, ….

PyTorch alone does not know shapes: they come from ``--input``, from example inputs that stand
beside the module, or from a ``.pt2``, which holds its own.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np

from converters.engines import at_work, engine, tool_version
from converters.sources import torch_archive
from converters.sources.base import Arrays, has_batch_axis, one_by_one, same_together
from converters.sources.shapes import BATCH, check_known, fixed_shape, with_shape
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.files import sha256_file
from edge_sdk.spec import Dim, DType, Signature, TensorSpec

PAIR = "Return it with example inputs: (model, (torch.zeros(1, 3, 224, 224),))"
_EXPORTABLE = (
    "torch.export follows no branch that depends on the numbers: write it with torch.where, or "
    "move it out of forward."
)


class TorchSource:
    """A PyTorch model as one function of named tensors.

    Attributes:
        example: one tensor an input, of the shapes and types that will be converted.
    """

    family = "torch"

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        sha256: str,
        size: int,
        body: Any,
        arguments: Any,
        names: Sequence[str],
    ) -> None:
        """Run ``body`` once, to learn what it answers.

        Args:
            arguments: examples, ``(args, kwargs)``, tensors somewhere inside.
            names: of those tensors, in pytree order.

        Raises:
            UsageError: an input or output is no tensor of numbers.
            ConversionError: it cannot be run on such inputs.
        """
        self.name, self.kind, self.sha256, self.size = name, kind, sha256, size
        self._body = body
        pytree = engine("torch.utils._pytree")
        tensors, self._structure = pytree.tree_flatten(arguments)
        self._names = tuple(names)
        self.example = tuple(_plain(tensor) for tensor in tensors)
        with at_work(
            f"Running {name}",
            f"It was run on inputs of {_shapes(self._names, self.example)}.\n{PAIR}",
        ):
            answer = self._answer(self.example)
        outputs = dict(_named_outputs(answer))
        self.signature = Signature(
            inputs=tuple(map(_spec, self._names, self.example)),
            outputs=tuple(_spec(key, tensor) for key, tensor in outputs.items()),
        )
        self._together: bool | None = None

    def run(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run``: all at once if that is the same to this model, else one by one."""
        if self._together is None and len(next(iter(inputs.values()))) > 1:
            tensors = (*self.signature.inputs, *self.signature.outputs)
            self._together = all(map(has_batch_axis, tensors)) and same_together(
                self.run_one, {k: v[:2] for k, v in inputs.items()}, self.signature
            )
        if self._together:
            return self.run_one(inputs)
        return one_by_one(self.run_one, inputs, self.signature)

    def run_one(self, inputs: Arrays) -> dict[str, Array]:
        """See ``Source.run_one``."""
        torch = engine("torch")
        with at_work(f"Running {self.name}"):
            tensors = [torch.tensor(np.asarray(inputs[name])) for name in self._names]
            return {key: tensor.numpy() for key, tensor in _named_outputs(self._answer(tensors))}

    def tools(self) -> dict[str, str]:
        """See ``Source.tools``."""
        return {"torch": tool_version("torch")}

    @cached_property
    def flat(self) -> Any:
        """The model as a ``torch.nn.Module`` of positional tensors that gives a tuple of tensors.

        Raises:
            ConversionError: TorchScript that cannot be read as a graph.
        """
        torch, pytree = engine("torch"), engine("torch.utils._pytree")
        body, structure = self._graph_body(), self._structure

        class Flat(torch.nn.Module):  # type: ignore[misc, name-defined]
            """Named ``body`` inside, so that layers keep their paths behind one word."""

            def __init__(self) -> None:
                super().__init__()
                self.body = body

            def forward(self, *tensors: Any) -> Any:
                args, kwargs = pytree.tree_unflatten(list(tensors), structure)
                return tuple(tensor for _, tensor in _named_outputs(self.body(*args, **kwargs)))

        flat = Flat()
        flat.training = False  # eval() would change the body too, which a .pt2's refuses
        return flat

    @cached_property
    def exported(self) -> Any:
        """The ``torch.export.ExportedProgram`` of ``flat``.

        Raises:
            ConversionError: PyTorch cannot export it.
        """
        torch = engine("torch")
        flat = self.flat
        with at_work(f"Exporting {self.name}", _EXPORTABLE, gist=_first_line), torch.no_grad():
            return torch.export.export(flat, self.example)

    def _answer(self, tensors: Sequence[Any]) -> Any:
        args, kwargs = engine("torch.utils._pytree").tree_unflatten(list(tensors), self._structure)
        with engine("torch").no_grad():
            return self._body(*args, **kwargs)

    def _graph_body(self) -> Any:
        """The model as exporting takes it: TorchScript has no Python to follow."""
        if self.kind != "torchscript":
            return self._body
        converter = engine("torch._export.converter")
        args, kwargs = engine("torch.utils._pytree").tree_unflatten(
            list(self.example), self._structure
        )
        with at_work(
            f"Reading the TorchScript of {self.name}",
            "Where its Python is: torch.export.save(torch.export.export(model, example), 'm.pt2')",
            gist=_first_line,
        ):
            return converter.TS2EPConverter(self._body, args, kwargs).convert().module()


def is_torch(source: Any) -> bool:
    """Whether it is a module, an exported program, or a pair of a module and example inputs."""
    model = source[0] if isinstance(source, tuple) and len(source) == 2 else source
    return any(
        f"{base.__module__}.{base.__qualname__}"
        in ("torch.nn.modules.module.Module", "torch.export.exported_program.ExportedProgram")
        for base in type(model).__mro__
    )


def from_torch(source: Any, *, name: str, shapes: Mapping[str, tuple[int, ...]]) -> TorchSource:
    """A source of what ``is_torch`` accepts.

    Raises:
        UsageError: shapes are missing, or do not fit.
    """
    torch = engine("torch")
    model, example = source if isinstance(source, tuple) else (source, None)
    if isinstance(model, torch.export.ExportedProgram):
        digest, size = _weights_digest(model.state_dict, str(model.graph))
        return _from_program(model, name, digest, size, shapes)
    scripted = isinstance(model, torch.jit.ScriptModule)
    digest, size = _weights_digest(model.state_dict(), str(model))
    if not scripted:
        with at_work(f"Copying {name}"):
            model = copy.deepcopy(model).to("cpu").eval()
    return _from_module(
        model,
        name=name,
        kind="torchscript" if scripted else "pytorch",
        digest=digest,
        size=size,
        example=example,
        shapes=shapes,
    )


def open_torch(
    path: Path, *, shapes: Mapping[str, tuple[int, ...]], trust_code: bool
) -> TorchSource:
    """Open a ``.pt2``, a TorchScript file or, if it is trusted, a pickled module.

    Raises:
        UsageError: it is none, holds weights alone, or would run code that was not trusted.
    """
    kind = torch_archive.kind_of(path)
    if kind == "pickle" and not trust_code:
        raise torch_archive.refuse_pickle(path)
    # A .pt2 that is trusted must be called .pt2 for PyTorch to open its libraries.
    content: Any = str(path) if trust_code else torch_archive.laundered(path, kind)
    torch = engine("torch")
    try:
        with at_work(f"Loading {path}", gist=_first_line):
            if kind == "pt2":
                model = torch.export.load(content)
            elif kind == "torchscript":
                model = torch.jit.load(content, map_location="cpu").eval()
            else:
                model = torch.load(content, map_location="cpu", weights_only=False)
    except ConversionError as error:
        raise UsageError(error.message, torch_archive.UNREADABLE) from error
    digest, size = sha256_file(path), path.stat().st_size
    if kind == "pt2":
        return _from_program(model, path.name, digest, size, shapes)
    if isinstance(model, Mapping):
        raise torch_archive.weights_only(path)
    if not isinstance(model, torch.nn.Module):
        raise UsageError(
            f"{path} holds a {type(model).__name__}, not a model.", "Save the module itself."
        )
    return _from_module(
        model.eval(),
        name=path.name,
        kind="torchscript" if kind == "torchscript" else "pytorch",
        digest=digest,
        size=size,
        example=None,
        shapes=shapes,
    )


def _from_module(
    model: Any,
    *,
    name: str,
    kind: str,
    digest: str,
    size: int,
    example: Any,
    shapes: Mapping[str, tuple[int, ...]],
) -> TorchSource:
    needed, optional = _parameters(model, kind)
    if example is None:
        check_known(shapes, [*needed, *optional])
        arguments = _from_shapes(name, needed, optional, shapes)
    else:
        arguments = _arguments(example)
    names = _input_names(arguments, [*needed, *optional])
    source = TorchSource(
        name=name,
        kind=kind,
        sha256=digest,
        size=size,
        body=model,
        arguments=arguments,
        names=names,
    )
    check_known(shapes, names)
    for tensor in source.signature.inputs:
        with_shape(tensor, shapes)  # an example that says otherwise is contradicted
    return source


def _from_program(
    program: Any, name: str, digest: str, size: int, shapes: Mapping[str, tuple[int, ...]]
) -> TorchSource:
    """A ``.pt2`` knows its inputs; lengths that it leaves open come from ``--input``."""
    torch = engine("torch")
    names = [str(key) for key in program.graph_signature.user_inputs]
    placed = {n.name: n.meta["val"] for n in program.graph.nodes if n.op == "placeholder"}
    given: list[Any] = [placed.get(key) for key in names]
    if not all(isinstance(value, torch.Tensor) for value in given):
        raise UsageError(f"{name} has an input that is no tensor.", "Export it with tensors alone.")
    open_ = [
        with_shape(
            TensorSpec(name=key, dtype=_dtype(key, value), shape=_open_dims(value.shape)), shapes
        )
        for key, value in zip(names, given, strict=True)
    ]
    check_known(shapes, names)
    tensors = []
    for spec, value in zip(open_, given, strict=True):
        # The batch becomes 1, as everywhere.
        tensors.append(torch.zeros(fixed_shape(spec), dtype=value.dtype))
    args, kwargs = engine("torch.utils._pytree").tree_unflatten(tensors, program.call_spec.in_spec)
    with at_work(f"Reading {name}"):
        body = program.module()
    return TorchSource(
        name=name,
        kind="pt2",
        sha256=digest,
        size=size,
        body=body,
        arguments=(args, kwargs),
        names=names,
    )


def _open_dims(shape: Sequence[Any]) -> tuple[Dim, ...]:
    return tuple(
        d if isinstance(d, int) else BATCH if axis == 0 else f"dim{axis}"
        for axis, d in enumerate(shape)
    )


def _parameters(model: Any, kind: str) -> tuple[list[str], list[str]]:
    """``forward``'s parameters: those that must be given, and those that may."""
    if kind == "torchscript":
        found = model.forward.schema.arguments[1:]
        return (
            [a.name for a in found if not a.has_default_value()],
            [a.name for a in found if a.has_default_value()],
        )
    given = inspect.signature(model.forward).parameters.values()
    plain = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keyword = [p for p in given if p.kind == p.KEYWORD_ONLY]
    needed = [p.name for p in plain if p.default is p.empty]
    return needed, [p.name for p in (*plain, *keyword) if p.name not in needed]


def _from_shapes(
    name: str, needed: list[str], optional: list[str], shapes: Mapping[str, tuple[int, ...]]
) -> Any:
    """Arguments of zeros, in the shapes that ``--input`` gives."""
    torch = engine("torch")
    if not needed and not shapes:
        raise UsageError(f"{name} does not say how many inputs it has.", PAIR)
    missing = [key for key in needed if key not in shapes]
    if missing:
        raise UsageError(
            f"{name} does not say what shape its input{'s' * (len(missing) > 1)} "
            f"{', '.join(map(repr, missing))} {'has' if len(missing) == 1 else 'have'}.",
            " ".join(f"--input {key}:1x3x224x224" for key in missing),
        )
    return (
        tuple(torch.zeros(shapes[key]) for key in needed),
        {key: torch.zeros(shapes[key]) for key in optional if key in shapes},
    )


def _arguments(example: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What a person gives as an example: a tensor, several in a tuple, or a dict by parameter."""
    if isinstance(example, Mapping):
        return (), dict(example)
    if isinstance(example, (tuple, list)):
        return tuple(example), {}
    return (example,), {}


def _input_names(arguments: Any, parameters: Sequence[str]) -> list[str]:
    """A name for every tensor inside the arguments: its parameter's, and its place in that."""
    pytree = engine("torch.utils._pytree")
    names = []
    for path, _ in pytree.tree_flatten_with_path(arguments)[0]:
        _, first, *rest = map(_key, path)
        if isinstance(first, int):
            first = parameters[first] if first < len(parameters) else f"input_{first}"
        names.append(_word("_".join(map(str, (first, *rest)))))
    return names


def _named_outputs(answer: Any) -> list[tuple[str, Any]]:
    """Every tensor of an answer with its name."""
    torch, pytree = engine("torch"), engine("torch.utils._pytree")
    found = pytree.tree_flatten_with_path(answer)[0]
    named = []
    for path, leaf in found:
        keys = [_key(part) for part in path]
        name = "_".join(map(str, keys)) if keys else "output"
        name = f"output_{name}" if name[:1].isdigit() else name
        if leaf is None:
            continue
        if not isinstance(leaf, torch.Tensor):
            raise UsageError(
                f"The model answers with a {type(leaf).__name__} ({name}) beside its tensors.",
                "Let forward return tensors alone.",
            )
        named.append((_word(name), leaf))
    double = [name for name, count in Counter(name for name, _ in named).items() if count > 1]
    if double or not named:
        raise UsageError(
            f"Two outputs are called {double[0]!r}." if double else "The model answers nothing.",
            "Let forward return a dict of tensors, each under a name of its own.",
        )
    return named


def _key(part: Any) -> Any:
    """A step of a pytree path: an index, a dict's key, a field's name."""
    return next(getattr(part, kind) for kind in ("idx", "key", "name") if hasattr(part, kind))


def _word(name: str) -> str:
    """A name that every format can have."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def _plain(tensor: Any) -> Any:
    if not isinstance(tensor, engine("torch").Tensor):
        raise UsageError(f"An example input is a {type(tensor).__name__}, no tensor.", PAIR)
    return tensor.detach().to("cpu")


def _spec(name: str, tensor: Any) -> TensorSpec:
    return TensorSpec(name=name, dtype=_dtype(name, tensor), shape=tuple(map(int, tensor.shape)))


def _dtype(name: str, tensor: Any) -> DType:
    dtype: Any = str(tensor.dtype).removeprefix("torch.")
    if dtype not in get_args(DType):
        raise UsageError(
            f"{name!r} is a tensor of {dtype}, which no target has.",
            "Convert the model to single precision first: model.float()",
        )
    known: DType = dtype
    return known


def _shapes(names: Sequence[str], tensors: Sequence[Any]) -> str:
    return ", ".join(
        f"{name} {str(t.dtype).removeprefix('torch.')}[{'x'.join(map(str, t.shape))}]"
        for name, t in zip(names, tensors, strict=True)
    )


def _first_line(said: str) -> str:
    """PyTorch explains itself over pages; the first line says what happened."""
    return next((line.strip() for line in said.splitlines() if line.strip()), "")[:300]


def _weights_digest(state: Mapping[str, Any], structure: str) -> tuple[str, int]:
    """Digest and size of a model in memory: its structure and its numbers, in order."""
    torch = engine("torch")
    digest, size = hashlib.sha256(structure.encode()), 0
    for name, tensor in state.items():
        if isinstance(tensor, torch.Tensor):
            flat = tensor.detach().to("cpu").contiguous().reshape(-1)
            content = flat.view(torch.uint8).numpy().tobytes()
            digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode() + content)
            size += len(content)
    return digest.hexdigest(), size
