"""Sensitivity: where, layer by layer, a quantized build parts from the float one.

Both builds run on the same real inputs, and what each layer makes is compared by name. Two numbers
come of it, as *signal to quantization noise* in decibels (``10 log10(sum x² / sum (x - q)²)``):

    sqnr      of the tensor as a whole
    typical   of its channels one by one, the mean of their shares of noise: a channel a thousand
              times greater than the rest hides in the whole what becomes of the others, yet it is
              the others that it ruins

Noise travels on: what comes after a broken layer is broken too. ``added`` is the noise that a layer
has beyond the noisiest of what it reads, and it is that which names the culprit. An operation that
only moves numbers (a reshape, a transpose) adds none, though it may make other channels of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from converters.probes import Layer, Probe
from converters.sources.base import Arrays
from edge_sdk.backends import Array
from edge_sdk.spec import LayerError

Sums = npt.NDArray[np.float64]
ALIKE = 0.25
"""Layers that add at least this share of the most are alike."""
ADDS_NOTHING = 1e-9
SAME = 1e-9
"""Sums of the same numbers in another order differ by less."""
FLOOR = 1e-12
"""Noise below this share of the signal is none: float32 itself is not better."""


@dataclass
class _Noise:
    """Running sums of one tensor, by channel."""

    signal: Sums = field(default_factory=lambda: np.zeros(0))
    error: Sums = field(default_factory=lambda: np.zeros(0))

    def add(self, real: Array, found: Array, axis: int) -> None:
        signal, gap = real.astype(np.float64), found.astype(np.float64) - real
        others: tuple[int, ...] = ()
        if real.ndim:
            others = tuple(i for i in range(real.ndim) if i != axis % real.ndim)
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.atleast_1d(np.nan_to_num(np.square(signal).sum(axis=others)))
            errors = np.atleast_1d(np.nan_to_num(np.square(gap).sum(axis=others), nan=np.inf))
        if not len(self.signal):
            self.signal, self.error = np.zeros_like(sums), np.zeros_like(errors)
        if len(sums) == len(self.signal):
            self.signal += sums
            self.error += errors

    def is_of(self, other: _Noise) -> bool:
        """Whether these are the other's numbers in another order: as much signal, as much noise."""
        return all(
            math.isclose(ours.sum(), theirs.sum(), rel_tol=SAME)
            for ours, theirs in ((self.signal, other.signal), (self.error, other.error))
        )

    @property
    def whole(self) -> float:
        """Noise as a share of the signal."""
        return _share(float(self.error.sum()), float(self.signal.sum()))

    @property
    def typical(self) -> float:
        """The mean share of noise of the channels that carry anything, each at most all of it."""
        alive = self.signal > 0
        if not alive.any():
            return FLOOR
        shares = np.minimum(self.error[alive] / self.signal[alive], 1.0)
        return float(max(shares.mean(), FLOOR))


def _share(error: float, signal: float) -> float:
    share = error / signal if signal > 0 else (1.0 if error > 0 else 0.0)
    return min(max(share, FLOOR), 1 / FLOOR)


def layer_errors(
    reference: Probe, quantized: Probe, samples: Iterable[Arrays]
) -> tuple[tuple[LayerError, ...], tuple[Group, ...]]:
    """Every layer that can be compared, in the order they run in.

    Args:
        reference: the float build.
        quantized: a build of the same graph.
        samples: single inputs, as ``Source.run_one`` takes them.

    Returns:
        The errors, and for each the operations it stands for.
    """
    noise: dict[str, _Noise] = {}
    for inputs in samples:
        expected = {
            name: np.array(value)
            for name, value in reference.tensors(inputs)
            if value.size and value.dtype.kind == "f"
        }
        for name, found in quantized.tensors(inputs):
            real = expected.get(name)
            if real is not None and real.shape == found.shape:
                noise.setdefault(name, _Noise()).add(real, found, reference.channel_axis)
    groups = grouped(reference.layers, set(noise))
    typical: dict[str, float] = {}
    errors = []
    for group in groups:
        before = [typical.get(name, noise[name].typical) for name in group.reads]
        moved = len(group.reads) == 1 and noise[group.name].is_of(noise[group.reads[0]])
        typical[group.name] = before[0] if moved else noise[group.name].typical
        errors.append(
            LayerError(
                name=group.name,
                op=group.op,
                sqnr_db=_decibels(noise[group.name].whole),
                typical_db=_decibels(typical[group.name]),
                added=max(typical[group.name] - max(before, default=0.0), 0.0),
            )
        )
    return tuple(errors), groups


def _decibels(share: float) -> float:
    return round(-10 * math.log10(share), 2)


@dataclass(frozen=True)
class Group:
    """Operations between tensors that both builds have.

    Engines fuse: the sum before an activation, say, exists in the float build alone.

    Attributes:
        name: of the tensor that can be compared.
        op: the operations, as ``Conv + Relu``.
        parts: names of the layers.
        reads: the comparable tensors that go in.
    """

    name: str
    op: str
    parts: tuple[str, ...]
    reads: tuple[str, ...]


def grouped(layers: Sequence[Layer], visible: set[str]) -> tuple[Group, ...]:
    """The layers, those that make nothing visible put to those that read them."""
    maker = {made: layer for layer in layers for made in layer.makes}
    groups = []
    for last in layers:
        if last.name not in visible:
            continue
        parts, reads, waiting = [last], list[str](), list(last.reads)
        while waiting:
            name = waiting.pop()
            if name in visible or name not in maker:
                reads += [name] if name in visible else []
            elif maker[name] not in parts:
                parts.insert(0, maker[name])
                waiting += maker[name].reads
        groups.append(
            Group(
                name=last.name,
                op=" + ".join(layer.op for layer in parts),
                parts=tuple(layer.name for layer in parts),
                reads=tuple(dict.fromkeys(reads)),
            )
        )
    return tuple(groups)


def with_readers(name: str, groups: Sequence[Group]) -> tuple[str, ...]:
    """The layers of that group and of those that read what it makes.

    A tensor between a wide layer and a narrow one is stored as the narrow one wants it: to keep a
    tensor in floating point, all that touch it must be.
    """
    return tuple(
        part
        for group in groups
        if group.name == name or name in group.reads
        for part in group.parts
    )


def culprit(errors: Sequence[LayerError], known: Collection[str] = ()) -> LayerError | None:
    """The first, in the order they run in, of those that add most; None if nothing adds any.

    Where the noise is already as great as the signal, what comes after tells nothing more: of
    layers that add alike, the earlier one is to blame.
    """
    left = [error for error in errors if error.name not in known and error.added > ADDS_NOTHING]
    most = max((error.added for error in left), default=0.0)
    return next((error for error in left if error.added >= most * ALIKE), None)
