"""Is the model fed as it was trained? The certificate's question to [preprocess] and to the data.

A swapped channel or a wrong mean is in the original and in every variant alike, so that they agree
perfectly about nonsense. What gives it away is that the *original* would answer better if it were
fed otherwise. So, wherever there are labels, the classic alternatives are tried on some samples:

* an alternative that is right where the declaration is wrong, far more often than the reverse, and
  by ten points or more, **contradicts** it: the conversion is refused unless told otherwise;
* one that gains less, but more than chance (exact sign test), makes it **doubtful**: a warning;
* if none does, the declaration is **confirmed**: not proven perfect, but free of these mistakes.

Without labels only this can be said: arrays that were made as [preprocess] declares lie on its
grid, ``(byte - mean) / std``. Arrays beyond its ends, or exactly on another classic grid,
contradict it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.alternatives import (
    NORMALISATIONS,
    Alternative,
    combined,
    other_arrays,
    other_declarations,
)
from converters.parity import On
from converters.samples import Samples
from converters.scores import answers
from converters.sources.base import Arrays, Source
from edge_sdk.backends import Array
from edge_sdk.processing import ImagePreprocessor
from edge_sdk.spec import ImageInput, InputCheck, Preprocess, TriedInput

SCREENED, SAMPLES, BATCH = 64, 256, 32
"""Samples for a first look at every alternative, for those that look better, and at once."""
CONTRADICTS, DOUBTS = 0.10, 0.02
"""Gains in accuracy from which an alternative refuses the declaration, or warns of it."""
CHANCE = 1e-3
"""What a gain must be less likely than, if it were luck."""
ROUNDS = 3
"""Mistakes at once that are found at most."""

Right = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Trial:
    """How the original answers when it is fed otherwise."""

    alternative: Alternative
    right: Right
    declared: Right

    @property
    def gain(self) -> float:
        return float(self.right.mean() - self.declared.mean())

    @property
    def is_luck(self) -> bool:
        """Whether a fair coin would favour it as often: the sign test on what the two differ in."""
        won = int((self.right & ~self.declared).sum())
        lost = int((self.declared & ~self.right).sum())
        ways: int = sum(math.comb(won + lost, k) for k in range(won, won + lost + 1))
        return ways / float(2 ** (won + lost)) >= CHANCE


def check_input(
    original: Source,
    judged: Samples,
    on: On,
    preprocess: Preprocess | None,
    scores: str | None,
) -> InputCheck:
    """Hold the declaration, and the data, against the classic mistakes.

    Args:
        original: the model as it was trained.
        judged: what the variants will be judged on, prepared as declared.
        on: what that is.
        preprocess: as declared.
        scores: the output that holds a score per class.
    """
    if on == "random":
        return _unchecked("random numbers say nothing about pictures")
    beside = _beside_the_grid(judged, preprocess)
    if beside is not None:
        return beside
    if judged.labels is None or scores is None:
        return _unchecked("there are no labels to say how right the original is")
    note = ""
    if judged.picture is None and preprocess is not None:
        note = "the data are arrays, so that what [preprocess] does to pictures was not exercised"
    trials, best = _search(original, judged, preprocess, scores, judged.labels)
    if best is not None and (share := _relabelled(original, judged, scores, judged.labels)) > (
        float(best.right.mean()) + CONTRADICTS
    ):
        said = (
            f"as it is fed, the original is right on {share:.1%} if the classes come in another "
            f"order, and on {best.declared.mean():.1%} in that of {judged.source}"
        )
        return InputCheck(verdict="doubtful", said=said, remedy="the labels in the model's order")
    return _verdict(trials, best, judged, note)


def _relabelled(
    original: Source, judged: Samples, scores: str, labels: npt.NDArray[np.int64]
) -> float:
    """How often the original is right if each of its answers means the class it mostly stands for.

    Labels in another order cost accuracy as a mistake in front of the model does, and then almost
    any other way of feeding it looks better. With few samples a class this says nothing: 0.
    """
    rows = judged.pick(SAMPLES)
    found = answers(original.run(judged.at(rows))[scores])
    known = labels[list(rows)]
    if len(rows) < 8 * len(set(found.tolist())):
        return 0.0
    return sum(int(np.bincount(known[found == a]).max()) for a in set(found.tolist())) / len(rows)


def _search(
    original: Source,
    judged: Samples,
    preprocess: Preprocess | None,
    scores: str,
    labels: npt.NDArray[np.int64],
) -> tuple[list[_Trial], _Trial | None]:
    """Everything that was tried, and what is better than the declaration beyond luck."""
    feeder = _Feeder(original, judged, scores, labels)
    alternatives = list(_alternatives(original, judged, preprocess))
    trials, best = feeder.best_of(alternatives)
    for _ in range(1, ROUNDS):
        if best is None or best.alternative.spec is None:
            break
        found = best.alternative
        more = [combined(found, a) for a in other_declarations(best.alternative.spec)]
        _, better = feeder.best_of(more)
        if better is None or better.right.sum() <= best.right.sum() + CONTRADICTS * SCREENED / 4:
            break
        best = better
        trials.append(better)
    return trials, best


def _alternatives(
    original: Source, judged: Samples, preprocess: Preprocess | None
) -> Iterator[Alternative]:
    if judged.picture is not None and isinstance(preprocess, ImageInput):
        yield from other_declarations(preprocess)
    elif len(original.signature.inputs) == 1:
        (tensor,) = original.signature.inputs
        yield from other_arrays(judged.at(judged.pick(16))[tensor.name])


class _Feeder:
    """Feeds the original otherwise than declared, and counts what it gets right."""

    def __init__(
        self, original: Source, judged: Samples, scores: str, labels: npt.NDArray[np.int64]
    ) -> None:
        self._original, self._judged = original, judged
        self._scores, self._labels = scores, labels
        self._name = original.signature.inputs[0].name

    def best_of(self, alternatives: Sequence[Alternative]) -> tuple[list[_Trial], _Trial | None]:
        """All on a few samples, the better ones on more; the best, if it is better beyond luck."""
        if not alternatives:
            return [], None
        trials = self._trials(alternatives, self._judged.pick(SCREENED))
        promising = [t for t in trials if t.gain > 0]
        if promising and len(self._judged) > SCREENED:
            again = self._trials([t.alternative for t in promising], self._judged.pick(SAMPLES))
            trials = [*again, *(t for t in trials if t not in promising)]
            promising = again
        best = max(promising, key=lambda t: t.gain, default=None)
        if best is None or best.is_luck or best.gain < DOUBTS:
            return trials, None
        return trials, best

    def _trials(self, alternatives: Sequence[Alternative], rows: Sequence[int]) -> list[_Trial]:
        declared: list[Right] = []
        right: list[list[Right]] = [[] for _ in alternatives]
        preparers = [self._preparer(a) for a in alternatives]
        for start in range(0, len(rows), BATCH):
            some = list(rows[start : start + BATCH])
            prepared = self._judged.at(some)
            pictures = None if self._judged.picture is None else [
                self._judged.picture(row) for row in some
            ]  # fmt: skip
            declared.append(self._right(prepared, some))
            for at, prepare in enumerate(preparers):
                fed = {**prepared, self._name: prepare(prepared[self._name], pictures)}
                right[at].append(self._right(fed, some))
        together = np.concatenate(declared)
        return [
            _Trial(alternative, np.concatenate(parts), together)
            for alternative, parts in zip(alternatives, right, strict=True)
        ]

    def _preparer(self, alternative: Alternative) -> Callable[[Array, Any], Array]:
        if alternative.spec is not None:
            image = ImagePreprocessor(alternative.spec, self._original.signature.inputs[0])
            return lambda _, pictures: np.concatenate([image.prepare(p)[0] for p in pictures])
        change = alternative.change or (lambda x: x)
        return lambda x, _: change(x)

    def _right(self, inputs: Arrays, rows: Sequence[int]) -> Right:
        found = answers(self._original.run(inputs)[self._scores])
        right: Right = found == self._labels[list(rows)]
        return right


def _verdict(
    trials: Sequence[_Trial], best: _Trial | None, judged: Samples, note: str
) -> InputCheck:
    tried = tuple(
        TriedInput(what=t.alternative.what, accuracy=float(t.right.mean()), samples=len(t.right))
        for t in trials
    )
    if not trials:
        return _unchecked("the input is no picture, and no classic mistake fits it")
    if best is None:
        accuracy, samples = float(trials[0].declared.mean()), len(trials[0].declared)
        said = (
            f"none of {len(trials)} other ways of feeding it makes the original answer better"
            f"{f'; {note}' if note else ''}"
        )
        return InputCheck(
            verdict="confirmed", said=said, samples=samples, accuracy=accuracy, tried=tried
        )
    accuracy = float(best.declared.mean())
    suspect = "is [preprocess] wrong?" if best.alternative.spec else f"is {judged.source} wrong?"
    said = (
        f"with {best.alternative.what} the original is right on {best.right.mean():.1%} of "
        f"{len(best.right)} samples instead of {accuracy:.1%}: {suspect}"
    )
    return InputCheck(
        verdict="contradicted" if best.gain >= CONTRADICTS else "doubtful",
        said=said,
        remedy=best.alternative.remedy,
        samples=len(best.right),
        accuracy=accuracy,
        tried=tried,
    )


def _beside_the_grid(judged: Samples, preprocess: Preprocess | None) -> InputCheck | None:
    """Arrays that cannot have been made as declared; None if they can, or if it cannot be told."""
    if judged.picture is not None or not isinstance(preprocess, ImageInput):
        return None
    values = judged.at(judged.pick(SCREENED))[preprocess.input]
    if values.dtype.kind != "f":
        return None
    axis = values.ndim - 1 if preprocess.layout == "hwc" else 1
    if _fits(_bytes(values, preprocess.mean, preprocess.std, axis), exactly=False):
        if _fits(_bytes(values, preprocess.mean, preprocess.std, axis), exactly=True):
            return None
        others = [n for n in _on_grids(values, axis) if n[:2] != (preprocess.mean, preprocess.std)]
        if not others:
            return None  # resampled or made by floating point: they may well be as declared
    else:
        others = list(_on_grids(values, axis))
    low, high = float(values.min()), float(values.max())
    said = (
        f"{judged.source} holds numbers of {low:.4g} to {high:.4g}, which [preprocess] (mean "
        f"{_listed(preprocess.mean)}, std {_listed(preprocess.std)}) makes of no bytes"
    )
    remedy = "normalise pictures and data alike"
    if others:
        mean, std, name = others[0]
        said += f"; mean {_listed(mean)} and std {_listed(std)} ({name}) does"
        remedy = f"mean = {list(mean)}, std = {list(std)}"
    return InputCheck(verdict="contradicted", said=said, remedy=remedy, samples=len(values))


def _on_grids(values: Array, axis: int) -> Iterator[tuple[Any, Any, str]]:
    for mean, std, name in NORMALISATIONS:
        fits_channels = len(mean) == 1 or values.shape[axis] == len(mean)
        if fits_channels and _fits(_bytes(values, mean, std, axis), exactly=True):
            yield mean, std, name


def _bytes(values: Array, mean: Sequence[float], std: Sequence[float], axis: int) -> Array:
    """What was normalised, if it was normalised so."""
    shape = [1] * values.ndim
    if max(len(mean), len(std)) > 1:
        shape[axis] = -1
    means, stds = (np.asarray(numbers, np.float64) for numbers in (mean, std))
    wide = max(means.size, stds.size)
    means, stds = np.broadcast_to(means, wide), np.broadcast_to(stds, wide)
    return values * stds.reshape(shape) + means.reshape(shape)


def _fits(values: Array, *, exactly: bool) -> bool:
    """Whether they may be bytes: of 0 to 255 and, exactly, whole numbers that span half of that."""
    if values.min() < -0.5 or values.max() > 255.5:
        return False
    whole = bool((np.abs(values - np.round(values)) < 0.02).mean() > 0.999)
    return whole and bool(np.ptp(values) > 127) if exactly else True


def _listed(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers)


def _unchecked(why: str) -> InputCheck:
    return InputCheck(verdict="unchecked", said=why)
