"""Parity: how far a variant answers as the original did, and whether that is near enough.

All variants are compared in one pass over the data, batch by batch, so that the original runs once
and nothing but sums and three numbers a sample and output are kept.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from converters.recipe import Recipe
from converters.samples import Samples
from converters.scores import answers
from converters.sources.base import Arrays, Source
from converters.targets.base import Runner
from edge_sdk.backends import Array
from edge_sdk.errors import EdgeError
from edge_sdk.spec import Agreement, Shortfall

On = Literal["evaluation", "calibration", "random"]
Progress = Callable[[int], None]
Rows = npt.NDArray[np.float64]


LEAST_TO_VARY = 16
"""Samples below which nothing is said about how much the original's answers vary."""
QUIET = 1e-3
"""A sample whose answer is below this share of an answer's usual length says next to nothing: a
page without text, to a text detector. Its direction is rounding."""


@dataclass
class Tally:
    """Running sums of one variant against the original.

    Attributes:
        scores: name of the output that holds a score per class; None if there is none.
        squares, error_squares: sums by output, of the original's numbers and of the differences.
        sums, sums_of_squares: by output and number of it, over the samples: for how much the
            original's answers vary from sample to sample.
        rows: by output, a list of arrays with a row a sample: the length of the original's answer,
            that of the difference, and the cosine similarity of the two answers.
    """

    scores: str | None
    samples: int = 0
    elements: int = 0
    max_difference: float = 0.0
    sum_difference: float = 0.0
    same_argmax: int = 0
    right: int = 0
    source_right: int = 0
    labelled: int = 0
    squares: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    error_squares: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    sums: dict[str, Rows] = field(default_factory=dict)
    sums_of_squares: dict[str, Rows] = field(default_factory=dict)
    rows: dict[str, list[Rows]] = field(default_factory=lambda: defaultdict(list))

    def add(
        self, expected: Arrays, found: Arrays, labels: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Count one batch. A NaN that the original had not is an infinite difference."""
        count = len(next(iter(expected.values())))
        self.samples += count
        for name, want in expected.items():
            a, b = _reals(want), _reals(found[name])
            with np.errstate(invalid="ignore", over="ignore"):
                gap = np.nan_to_num(np.abs(a - b), nan=np.inf, posinf=np.inf)
                gap[_same(a, b)] = 0.0
                # 1e-12 stands for an original that answers nothing but zeros.
                self.squares[name] += float(np.square(a[np.isfinite(a)]).sum()) + 1e-12 * a.size
                self.error_squares[name] += float(np.square(gap).sum())
            known = np.where(np.isfinite(a), a, 0.0)
            self.sums[name] = self.sums.get(name, 0.0) + known.sum(axis=0)
            self.sums_of_squares[name] = self.sums_of_squares.get(name, 0.0) + np.square(known).sum(
                axis=0
            )
            self.max_difference = max(self.max_difference, float(gap.max(initial=0.0)))
            self.sum_difference += float(gap.sum())
            self.elements += gap.size
            lengths = np.linalg.norm(known, axis=1), np.linalg.norm(gap, axis=1)
            self.rows[name].append(np.column_stack((*lengths, _cosines(a, b))))
        if self.scores is not None:
            original, variant = answers(expected[self.scores]), answers(found[self.scores])
            self.same_argmax += int((original == variant).sum())
            if labels is not None:
                self.labelled += count
                self.right += int((variant == labels).sum())
                self.source_right += int((original == labels).sum())

    @property
    def cosine(self) -> float:
        """Mean cosine similarity of the answers.

        Where both say next to nothing beside what is usual (``QUIET``), they say the same.
        """
        cosines = []
        for parts in self.rows.values():
            lengths, gaps, similar = np.concatenate(parts).T
            least = QUIET * math.sqrt(float(np.square(lengths).mean()))
            cosines.append(np.where((lengths <= least) & (gaps <= least), 1.0, similar))
        return float(np.concatenate(cosines).mean()) if cosines else 0.0

    @property
    def relative_error(self) -> float:
        """The root-mean-square difference as a share of the original's, of the worst output."""
        return self._worst(self.squares)

    @property
    def unexplained(self) -> float:
        """The same as a share of how much the original's answers vary over the samples.

        An answer that says much the same of every input (100.1, 100.2, …) is near the original by
        any share of its size, however little is left of what it has to say. This is the root of one
        minus R²; an output that does not vary at all is measured by its size.
        """
        return self._worst(
            {name: max(self._variation(name), 1e-10 * size) for name, size in self.squares.items()}
        )

    def _worst(self, measures: Mapping[str, float]) -> float:
        shares = (math.sqrt(error / measures[k]) for k, error in self.error_squares.items())
        return max(shares, default=0.0)

    def _variation(self, name: str) -> float:
        means = self.sums[name] / self.samples
        return float((self.sums_of_squares[name] - means * self.sums[name]).sum())

    def agreement(self, on: On, runner: Runner) -> Agreement:
        """The sums as a verdict's evidence."""
        if not self.samples:
            return Agreement(
                samples=0,
                on=on,
                checked_by=runner.checked_by,
                unchecked_ops=runner.unchecked_ops,
            )
        return Agreement(
            samples=self.samples,
            on=on,
            checked_by=runner.checked_by,
            max_difference=self.max_difference,
            mean_difference=self.sum_difference / max(self.elements, 1),
            cosine=self.cosine,
            argmax=None if self.scores is None else self.same_argmax / self.samples,
            accuracy=self.right / self.labelled if self.labelled else None,
            source_accuracy=self.source_right / self.labelled if self.labelled else None,
        )


def _reals(array: Array) -> Rows:
    """One row of real numbers per sample; a complex number is two."""
    rows = np.ascontiguousarray(array).reshape(len(array), -1)
    return (rows.view(rows.real.dtype) if rows.dtype.kind == "c" else rows).astype(np.float64)


def _same(a: Rows, b: Rows) -> npt.NDArray[np.bool_]:
    """Where the numbers are equal, or neither is one."""
    same: npt.NDArray[np.bool_] = (a == b) | (np.isnan(a) & np.isnan(b))
    return same


def _cosines(a: Rows, b: Rows) -> Rows:
    """Cosine similarity row by row, of the numbers that are finite.

    Two rows of zeros are alike, one of zeros is not; nor are rows not finite in the same places.
    """
    same = _same(a, b)
    finite = np.isfinite(a) & np.isfinite(b)
    left, right = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        cosine = np.where(lengths > 0, (left * right).sum(axis=1) / lengths, 0.0)
    cosine = np.where((finite | same).all(axis=1), cosine, 0.0)
    return np.where(same.all(axis=1), 1.0, cosine)


def compare(
    source: Source,
    runners: Mapping[str, Runner],
    samples: Samples,
    scores: str | None,
    progress: Progress,
) -> tuple[dict[str, Tally], dict[str, str]]:
    """Run the original and every variant over all samples.

    Args:
        progress: called with the number of samples done so far.

    Returns:
        The sums by variant; and, for those that failed on an input which the original answered,
        what their engine said.
    """
    tallies = {name: Tally(scores) for name in runners}
    failures: dict[str, str] = {}
    for start, inputs in samples.batches() if runners else ():
        expected = source.run(inputs)
        count = len(next(iter(inputs.values())))
        labels = None if samples.labels is None else samples.labels[start : start + count]
        for name, runner in runners.items():
            if name in failures:
                continue
            try:
                found = runner.run(inputs)
            except EdgeError as error:
                failures[name] = f"it does not run: {error}"
                continue
            if other := _other_shape(expected, found):
                failures[name] = other
            else:
                tallies[name].add(expected, found, labels)
        progress(start + count)
    return tallies, failures


def _other_shape(expected: Arrays, found: Arrays) -> str:
    """Which output is of another shape than the original's; empty if none is."""
    for name, want in expected.items():
        if want.shape != found[name].shape:
            shapes = ["x".join(map(str, a.shape[1:])) or "a number" for a in (found[name], want)]
            return f"for a sample it answers {name!r} as {shapes[0]}, the original as {shapes[1]}"
    return ""


def judge(tally: Tally, agreement: Agreement, recipe: Recipe) -> tuple[Shortfall, ...]:
    """Which limits of its recipe a variant misses; none means proven.

    On random inputs argmax says nothing: noise leaves scores nearly even. Where answers are
    labelled and the recipe limits the loss of accuracy, that is the better judge of them.
    """
    limits = recipe.limits
    found: list[Shortfall] = []

    def at_least(limit: str, measured: float | None, required: float | None) -> None:
        if required is not None and measured is not None and not measured >= required:
            found.append(Shortfall(limit=limit, measured=measured, required=required))

    def at_most(limit: str, measured: float | None, required: float | None) -> None:
        if required is not None and measured is not None and not measured <= required:
            found.append(Shortfall(limit=limit, measured=measured, required=required))

    real = agreement.on != "random"
    if real and not (tally.labelled and limits.accuracy_drop is not None):
        at_least("argmax agreement", agreement.argmax, limits.argmax)
    at_least("cosine similarity", agreement.cosine, limits.cosine)
    if agreement.samples:
        varied = real and tally.samples >= LEAST_TO_VARY
        error = tally.unexplained if varied else tally.relative_error
        at_most("relative error", error, recipe.error)
    at_most("greatest difference", agreement.max_difference, limits.max_difference)
    if tally.labelled:
        drop = (tally.source_right - tally.right) / tally.labelled
        at_most("accuracy drop", drop, limits.accuracy_drop)
    return tuple(found)
