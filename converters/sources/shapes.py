"""Shapes a person fixes: ``--input NAME:SHAPE`` for axes that a model leaves open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edge_sdk.errors import UsageError
from edge_sdk.spec import Dim, TensorSpec
from edge_sdk.text import nearest

BATCH = "batch"


def with_shape(tensor: TensorSpec, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    """The tensor with the lengths that ``--input`` fixes; a batch of 1 stays free for evaluation.

    Raises:
        UsageError: they are too few or too many, or contradict those it has.
    """
    given = shapes.get(tensor.name)
    if given is None:
        return tensor
    if not tensor.accepts(given):
        raise UsageError(
            f"--input {tensor.name}:{'x'.join(map(str, given))} does not fit {tensor}.",
            f"Give a length for every axis, and only change those without one: {fixing(tensor)}",
        )
    shape: tuple[Dim, ...] = tuple(
        BATCH if dim == BATCH and length == 1 else length
        for dim, length in zip(tensor.shape, given, strict=True)
    )
    return TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=shape)


def check_known(shapes: Mapping[str, tuple[int, ...]], names: Iterable[str]) -> None:
    """Raises UsageError for a shape of an input that there is not."""
    names = list(names)
    for name in shapes:
        if name not in names:
            raise UsageError(f"The model has no input {name!r}.", nearest(name, names))


def fixed_shape(tensor: TensorSpec) -> tuple[int, ...]:
    """The tensor's shape with batch 1.

    Raises:
        UsageError: another axis has no length; says how to give one.
    """
    shape: list[int] = []
    for dim in tensor.shape:
        if isinstance(dim, int):
            shape.append(dim)
        elif dim == BATCH:
            shape.append(1)
        else:
            raise UsageError(
                f"The input {tensor} has an axis without a length ({dim}).",
                f"Fix it: {fixing(tensor)}",
            )
    return tuple(shape)


def fixing(tensor: TensorSpec) -> str:
    """The option that would fix its open axes, with lengths for an example."""
    lengths = (str(d) if isinstance(d, int) else "1" if d == BATCH else "320" for d in tensor.shape)
    return f"--input {tensor.name}:{'x'.join(lengths)}"
