"""What an input must be like to be worth asking a model about, and what came of asking."""

import math

import msgspec

from edge_sdk.errors import UsageError
from edge_sdk.spec.word import Word

OF_PICTURES = (
    *("min_size", "max_size", "min_luma", "max_luma", "max_burnt", "min_contrast"),
    "min_sharpness",
)
"""Limits that an array has not."""
WHITE = 255
"""The luma of what is brightest; nothing deviates from its mean by more than half of it."""


class InputLimits(Word, frozen=True, kw_only=True):
    """Limits of what a model is asked. All are off at their defaults, but those of blank pictures
    and of numbers that are none. They travel in the manifest, and hold wherever the model runs.

    Attributes:
        min_size, max_size: of a picture, (width, height) in pixels.
        min_luma, max_luma: of its mean, 0..255.
        max_burnt: share of pixels at 250 and above.
        min_contrast: standard deviation of the luma; a lens cap has about 1.
        min_sharpness: variance of the Laplacian on 160 pixels; 20 is soft, 100 ordinary, by camera
            and scene.
        ranges: least and greatest value of an array, by the input's name, in the original's terms.
        finite: whether arrays that hold a NaN or an infinity are refused.
        most_per_s: a rate limit, for each stream.
    """

    min_size: tuple[int, int] = (1, 1)
    max_size: tuple[int, int] = (16384, 16384)
    min_luma: float = 0.0
    max_luma: float = 255.0
    max_burnt: float = 1.0
    min_contrast: float = 2.0
    min_sharpness: float = 0.0
    ranges: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)
    finite: bool = True
    most_per_s: float | None = None


class GuardReport(Word, frozen=True, kw_only=True):
    """What a guard has let through, and what it has refused, by reason."""

    passed: int
    refused: dict[str, int]

    def __str__(self) -> str:
        why = ", ".join(f"{count} {reason}" for reason, count in self.refused.items())
        return f"{self.passed} passed, {sum(self.refused.values())} refused{why and f': {why}'}"


def check_limits(limits: InputLimits) -> InputLimits:
    """The same. Raises UsageError if nothing can pass them."""
    if not limits.max_burnt <= 1:
        raise UsageError(
            f"max_burnt is {limits.max_burnt:g}, and no share of a picture.", "0.3 is 30 %."
        )
    # Asked so that a NaN, which would let everything pass, is refused.
    if (
        not limits.max_burnt >= 0
        or not limits.min_luma < limits.max_luma
        or limits.min_luma > WHITE
        or limits.max_luma < 0
        or not 0 <= limits.min_contrast <= WHITE / 2
        or not 0 <= limits.min_sharpness < math.inf
        or any(low > high for low, high in zip(limits.min_size, limits.max_size, strict=True))
        or (limits.most_per_s is not None and not 0 < limits.most_per_s < math.inf)
    ):
        raise UsageError(
            "No picture can pass these limits.", "For example min_luma = 20, max_luma = 235"
        )
    for name, (low, high) in limits.ranges.items():
        if not low <= high:
            raise UsageError(
                f"Nothing is between {low:g} and {high:g}, the range of {name!r}.",
                "The least comes first.",
            )
    return limits


def describe_limits(limits: InputLimits, *, pictures: bool | None) -> str:
    """Those that refuse something, for people: ``min_luma 20, min_contrast 2``.

    Args:
        limits: of a model.
        pictures: whether it declares how a picture becomes its input; None where that is not known.
    """
    none = InputLimits(min_contrast=0.0, finite=False)
    ignored = {True: {"finite"}, False: set(OF_PICTURES), None: set[str]()}[pictures]
    return ", ".join(
        f"{name} {_told(getattr(limits, name))}".strip()
        for name in limits.__struct_fields__
        if name not in ignored and getattr(limits, name) != getattr(none, name)
    )


def _told(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in value.items())
    if isinstance(value, tuple):
        return " x ".join(map(str, value))
    return "" if isinstance(value, bool) else f"{value:g}"
