"""What an input must be like to be worth asking a model about, and what came of asking."""

import msgspec

from edge_sdk.spec.word import Word


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
