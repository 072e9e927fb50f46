"""What the author of the four wake words that we know publishes with each of them."""

from __future__ import annotations

from dataclasses import dataclass

AUTHOR, AUTHORS_PAGE = "Kevin Ahrendt", "https://www.kevinahrendt.com/"


@dataclass(frozen=True, slots=True)
class Published:
    """One word.

    Attributes:
        threshold: which the mean of five answers must pass.
        phones: how it is said, in those of CMU's dictionary.
        languages: it was trained on their speakers.
    """

    threshold: float
    phones: str
    languages: tuple[str, ...] = ("en",)


PUBLISHED = {
    "alexa": Published(0.9, "AH L EH K S AH"),
    "hey_jarvis": Published(0.97, "HH EY JH AA R V AH S"),
    "hey_mycroft": Published(0.95, "HH EY M AY K R AO F T"),
    "okay_nabu": Published(0.85, "OW K EY N AA B UW", ("en", "nl", "fr", "de", "it", "es", "sv")),
}
"""By the name of the file."""
