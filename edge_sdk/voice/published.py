"""What the author of the four wake words that we know publishes with each of them."""

from __future__ import annotations

from dataclasses import dataclass

AUTHOR, AUTHORS_PAGE = "Kevin Ahrendt", "https://www.kevinahrendt.com/"


@dataclass(frozen=True, slots=True)
class Published:
    """One word.

    Attributes:
        threshold: which the mean of five answers must pass.
        languages: it was trained on their speakers.
    """

    threshold: float
    languages: tuple[str, ...] = ("en",)


PUBLISHED = {
    "alexa": Published(0.9),
    "hey_jarvis": Published(0.97),
    "hey_mycroft": Published(0.95),
    "okay_nabu": Published(0.85, ("en", "nl", "fr", "de", "it", "es", "sv")),
}
"""By the name of the file."""
