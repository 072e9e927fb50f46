"""An explanation: a map of what a score owes itself to, and how far it is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edge_sdk.processing import Geometry
from edge_sdk.processing.geometry import spread_over
from edge_sdk.spec import Explained

Floats: TypeAlias = npt.NDArray[np.float32]

GRID = 8
"""Rows and columns of the map in a word."""
_SAME = 1e-5
"""A score that differs by less than this part of itself is the same: engines round."""
_ABOVE_NOISE = 4.0
"""How many standard errors the map's peak must have to be one: fewer, and among some thousand
pixels one is bound to have them by chance."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Explanation:
    """Which parts of one picture a score owes itself to.

    Attributes:
        map: height x width of the model's input, float32, in units of the score: by how much it
            rises, on average, when what is there goes from hidden to shown, all else being shown or
            hidden at random. For a score of 0..1 it lies in -1..1; negative is what speaks against
            the target. All zeros where the score does not depend on the picture.
        geometry: the way from the model's picture to the original one.
        target, index: what is explained; see ``Target``.
        score: of the whole picture.
        hidden_score: of a picture with all hidden.
        spread: greatest less least of all scores that were seen.
        noise: standard error of the map's values, the median of its pixels.
        runs, seed, hide: how it was made.
    """

    map: Floats
    geometry: Geometry
    target: str
    index: int | None
    score: float
    hidden_score: float
    spread: float
    noise: float
    runs: int
    seed: int
    hide: str

    @property
    def depends(self) -> bool:
        """Whether the score depends on the picture at all."""
        return depends(self.spread, self.score, self.hidden_score)

    @property
    def located(self) -> bool:
        """Whether a part of the picture stands out from chance, in favour of the target."""
        return self.depends and float(self.map.max()) > _ABOVE_NOISE * self.noise

    def over(self, height: int, width: int) -> Floats:
        """The map over a picture of that size; 0 where the model did not look.

        Raises:
            UnavailableError: OpenCV is not installed.
        """
        return spread_over(self.map, self.geometry, height, width)

    def word(self) -> Explained:
        """The same in few numbers, ready for JSON."""
        fields = spread_over(self.map, self.geometry, GRID * 8, GRID * 8)
        means = fields.reshape(GRID, 8, GRID, 8).mean(axis=(1, 3))
        return Explained(
            target=self.target,
            index=self.index,
            score=self.score,
            hidden_score=self.hidden_score,
            depends=self.depends,
            located=self.located,
            focus=_focus(self.over(256, 256)) if self.located else None,
            grid=tuple(tuple(float(f"{value:.3g}") for value in row) for row in means),
            noise=self.noise,
            runs=self.runs,
            seed=self.seed,
            hide=self.hide,
        )


def depends(spread: float, *scores: float) -> bool:
    """Whether scores that lie ``spread`` apart differ by more than an engine's rounding."""
    return spread > _SAME * max(map(abs, scores))


def _focus(over: Floats) -> tuple[float, float, float, float]:
    inside = over >= over.max() / 2
    (down,), (across,) = np.nonzero(inside.any(axis=1)), np.nonzero(inside.any(axis=0))
    height, width = over.shape
    return (
        float(across[0] / width),
        float(down[0] / height),
        float((across[-1] + 1) / width),
        float((down[-1] + 1) / height),
    )
