"""The lengths of an ONNX model's inputs, every one of them.

An axis without a length gets one by ``--input``; the first one, the batch, becomes 1. Axes of one
name are one length: ``--input state:2x1x128`` fixes ``batch`` wherever the model says ``batch``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.sources.shapes import BATCH, check_known, fixed_shape, with_shape
from edge_sdk.errors import UsageError
from edge_sdk.spec import Dim, TensorSpec

Axes = tuple[int | str, ...]
"""A length or a name by axis, as the model says it; ``""`` where it says nothing."""

_NAMELESS = ("", "?", "-1", "None")
"""What exporters call an axis of which they know nothing."""


def fixed_lengths(
    tensors: Sequence[TensorSpec],
    axes: Mapping[str, Axes | None],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, tuple[int, ...]]:
    """The shape of every input.

    Args:
        tensors: the inputs.
        axes: the model's own words about them; None where not even their number is known.
        shapes: what ``--input`` says.

    Raises:
        UsageError: an unknown input, an axis left open, or lengths that do not fit.
    """
    check_known(shapes, [tensor.name for tensor in tensors])
    own = {t.name: _axes(t.name, axes[t.name], shapes) for t in tensors}
    batches = {each[0] for each in own.values() if each and _named(each[0])}
    opened = [
        TensorSpec(name=t.name, dtype=t.dtype, shape=_dims(own[t.name], batches)) for t in tensors
    ]
    given = [with_shape(tensor, shapes) for tensor in opened]
    known: dict[str, int] = {}
    for tensor in given:
        for name, length in zip(own[tensor.name], tensor.shape, strict=True):
            if not (_named(name) and isinstance(length, int)):
                continue
            if known.setdefault(str(name), length) != length:
                raise UsageError(
                    f"The axis {name!r} would be {known[str(name)]} in one input and {length} in "
                    f"{tensor.name!r}.",
                    "Give it one length in every --input NAME:SHAPE.",
                )
    return {t.name: fixed_shape(_filled(t, own[t.name], known)) for t in given}


def _axes(name: str, axes: Axes | None, shapes: Mapping[str, tuple[int, ...]]) -> Axes:
    if axes is not None:
        return axes
    if name not in shapes:
        raise UsageError(
            f"The input {name!r} may have any number of axes.",
            f"Fix them: --input {name}:1x3x224x224",
        )
    return ("",) * len(shapes[name])


def _dims(axes: Axes, batches: set[int | str]) -> tuple[Dim, ...]:
    """The axes as our words: the first open one is the batch, and so is any of the same name."""
    return tuple(
        axis
        if isinstance(axis, int)
        else BATCH
        if at == 0 or axis in batches
        else axis
        if _named(axis)
        else f"dim{at}"
        for at, axis in enumerate(axes)
    )


def _filled(tensor: TensorSpec, axes: Axes, known: Mapping[str, int]) -> TensorSpec:
    shape = tuple(
        dim if isinstance(dim, int) else known.get(str(name), dim)
        for dim, name in zip(tensor.shape, axes, strict=True)
    )
    return TensorSpec(name=tensor.name, dtype=tensor.dtype, shape=shape)


def _named(axis: int | str) -> bool:
    return isinstance(axis, str) and axis not in _NAMELESS
