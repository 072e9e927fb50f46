"""Answers in the application's terms: plain words, ready for JSON, without arrays."""

from __future__ import annotations

from edge_sdk.spec.word import Word


class ClassScore(Word, frozen=True, kw_only=True):
    """One class and how sure the model is of it (0..1)."""

    index: int
    label: str
    score: float


class Classes(Word, frozen=True, kw_only=True, tag_field="kind", tag="classes"):
    """The likeliest classes of one picture, best first."""

    top: tuple[ClassScore, ...]

    def __str__(self) -> str:
        return ", ".join(f"{c.label} {c.score:.2f}" for c in self.top)


class Box(Word, frozen=True, kw_only=True):
    """One detected object, in fractions of the original picture's width and height.

    Attributes:
        left, top, right, bottom: edges, 0..1 from the upper left corner, clipped to the picture.
        score: 0..1.
        index, label: the class.
        keypoints: (x, y) pairs, in the same fractions.
    """

    left: float
    top: float
    right: float
    bottom: float
    score: float
    index: int
    label: str
    keypoints: tuple[tuple[float, float], ...] = ()


class Boxes(Word, frozen=True, kw_only=True, tag_field="kind", tag="boxes"):
    """The objects found in one picture, surest first."""

    found: tuple[Box, ...]

    def __str__(self) -> str:
        if not self.found:
            return "nothing found"
        return ", ".join(f"{box.label} {box.score:.2f}" for box in self.found)


class Area(Word, frozen=True, kw_only=True, tag_field="kind", tag="area"):
    """How much of the picture a mask covers, and where.

    Attributes:
        share: of the picture's pixels, 0..1.
        left, top, right, bottom: the smallest box around all of it, in fractions; zeros if empty.
    """

    share: float
    left: float = 0.0
    top: float = 0.0
    right: float = 0.0
    bottom: float = 0.0

    def __str__(self) -> str:
        return f"{self.share:.0%} covered"


class Explained(Word, frozen=True, kw_only=True):
    """An explanation in plain words and few numbers.

    Attributes:
        target, index: what is explained: a class, or what else has a score.
        score, hidden_score: of the whole picture, and of one with all hidden.
        depends: whether the score depends on the picture at all.
        located: whether a part of the picture stands out.
        focus: left, top, right, bottom of the smallest box around all that has at least half of the
            map's greatest value, in fractions of the picture; None where nothing stands out.
        grid: the map's means on 8 x 8 fields of the picture, row by row.
        noise: standard error of the map's values.
        runs, seed, hide: how it was made; the same three make it again.
    """

    target: str
    index: int | None
    score: float
    hidden_score: float
    depends: bool
    located: bool
    focus: tuple[float, float, float, float] | None
    grid: tuple[tuple[float, ...], ...]
    noise: float
    runs: int
    seed: int
    hide: str

    def __str__(self) -> str:
        head = f"{self.target} {self.score:.3g}, with all hidden {self.hidden_score:.3g}: "
        if not self.depends:
            return head + "it does not depend on the picture; hiding any of it changes nothing"
        if self.focus is None:
            return head + "it depends on the picture, but no part of it stands out in its favour"
        left, top, right, bottom = (round(100 * edge) for edge in self.focus)
        return head + f"it rests on what is at {left}-{right} % across, {top}-{bottom} % down"


Result = Classes | Boxes | Area
