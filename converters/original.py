"""Whether the original can be held against: it must answer with numbers, and twice the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from converters.samples import Samples
from converters.sources import Source
from converters.sources.base import Arrays
from edge_sdk.backends import Array
from edge_sdk.errors import ConversionError

LOOKED_AT = 16
SAME = 1e-4
"""As a share of the greatest answer: what threads that add in another order may change."""


def check_answers(original: Source, samples: Samples) -> None:
    """Let the original answer a few samples twice.

    Raises:
        ConversionError: it answers mostly what is no number, or something else the second time.
    """
    picked, size = samples.pick(LOOKED_AT), samples.together()
    parts = [samples.at(picked[at : at + size]) for at in range(0, len(picked), size)]
    first, second = _answers(original, parts), _answers(original, parts)
    count = len(picked)
    without = np.zeros(count, bool)
    for name, answer in first.items():
        if answer.dtype.kind not in "fc":
            continue
        rows, again = (a.reshape(count, -1) for a in (answer, second[name]))
        finite = np.isfinite(rows)
        without |= ~finite.all(axis=1)
        largest = float(np.abs(np.where(finite, rows, 0)).max(initial=0.0))
        gap = np.abs(np.where(finite & np.isfinite(again), rows - again, 0))
        if float(gap.max(initial=0.0)) > SAME * largest:
            raise ConversionError(
                f"{original.name} does not answer the same twice: its output {name!r} differs by "
                f"{float(gap.max()):.2g} for the same input.",
                "It draws random numbers (dropout, noise) when it runs: export it for inference.",
            )
    if 2 * int(without.sum()) > count:
        raise ConversionError(
            f"{original.name} answers {without.sum()} of {count} samples with NaN or infinity.",
            "Look at its weights and at the numbers it is fed, then export it again.",
        )


def _answers(original: Source, parts: Sequence[Arrays]) -> dict[str, Array]:
    """The answers to all parts, together."""
    answers = [original.run(part) for part in parts]
    return {name: np.concatenate([each[name] for each in answers]) for name in answers[0]}
