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


Result = Classes | Boxes | Area
