"""How the model is fed: the classic mistakes that were held against the declaration, as bars."""

from __future__ import annotations

from converters.report import figures
from converters.report.icons import icon
from converters.report.markup import Html, foreign, join, tag
from converters.report.verdict import Tone
from edge_sdk.spec import InputCheck

_TONES = {
    "confirmed": Tone.GOOD,
    "doubtful": Tone.DOUBTFUL,
    "contradicted": Tone.BAD,
    "unchecked": Tone.PLAIN,
}
_TITLES = {
    "confirmed": "Fed as it was trained, as far as the classic mistakes go",
    "doubtful": "It may not be fed as it was trained",
    "contradicted": "It is not fed as it was trained",
    "unchecked": "Not checked",
}


def feeding_section(check: InputCheck) -> Html:
    """The verdict, and what each other way of feeding the original came to."""
    remedy = f". Try: {check.remedy}" if check.remedy else ""
    said = tag("p", foreign(f"{check.said[:1].upper()}{check.said[1:]}{remedy}"))
    tone = _TONES[check.verdict]
    verdict = tag(
        "ul",
        tag("li", icon(tone), tag("h3", _TITLES[check.verdict]), said, class_=tone.value),
        class_="notes",
    )
    return join([verdict, _tried(check)])


def _tried(check: InputCheck) -> Html | None:
    """The declaration first, then the others, the best first."""
    if check.accuracy is None or not check.tried:
        return None
    others = sorted(check.tried, key=lambda tried: -tried.accuracy)
    declared = _row(tag("b", "as declared"), check.accuracy, check.samples, "original")
    return tag(
        "table",
        tag("caption", "What the original answers when it is fed otherwise"),
        tag("thead", tag("tr", *(tag("th", name, scope="col") for name in _HEADER))),
        declared,
        *(_row(foreign(f"with {t.what}"), t.accuracy, t.samples, None) for t in others),
        class_="plain-table",
    )


_HEADER = ("The original, fed", "is right on", "of samples")


def _row(what: Html, accuracy: float, samples: int, style: str | None) -> Html:
    bar = tag(
        "svg",
        tag("rect", width=100, height=6, class_="whole"),
        tag("rect", width=100 * accuracy, height=6, class_="part"),
        viewBox="0 0 100 6",
        preserveAspectRatio="none",
        class_="bar",
        aria_hidden="true",
    )
    share = tag("td", tag("span", figures.percent(accuracy, 1)), bar)
    count = tag("td", figures.count(samples))
    return tag("tbody", tag("tr", tag("th", what, scope="row"), share, count), class_=style)
