"""Signs that say without colour what the colour says."""

from __future__ import annotations

from converters.report.markup import Html, tag
from converters.report.verdict import Standing, Tone

_STROKES = {
    Tone.GOOD: "M3.5 8.5l3 3 6-7",
    Tone.BAD: "M4.5 4.5l7 7m0-7l-7 7",
    Tone.DOUBTFUL: "M8 3.5v6m0 2.6v.4",
    Tone.PLAIN: "M4 8h8",
}


def icon(tone: Tone) -> Html:
    """A tick, a cross, an exclamation mark or a dash; the words beside it say the same."""
    stroke = tag("path", d=_STROKES[tone])
    return tag("svg", stroke, viewBox="0 0 16 16", class_="icon", aria_hidden="true")


def badge(standing: Standing) -> Html:
    """A variant's standing."""
    return tag("span", icon(standing.tone), standing.word, class_=f"badge {standing.tone.value}")
