"""The page as a whole: what one sees first, and in which order the rest follows."""

from __future__ import annotations

from importlib.resources import files

from converters.identity import Identity
from converters.report.checks import in_brief
from converters.report.coverage import coverage_section
from converters.report.feeding import feeding_section
from converters.report.icons import icon
from converters.report.layers import layers_style
from converters.report.markup import Html, foreign, join, rows, tag
from converters.report.model import model_section
from converters.report.noise import noise_section
from converters.report.notes import Note, notes
from converters.report.overview import overview
from converters.report.plot import plot
from converters.report.provenance import provenance_section
from converters.report.tried import tried_section
from converters.report.variants import variant_table
from converters.report.verdict import verdict
from edge_sdk.spec import ConversionReport, VariantReport

_COLOPHON = (
    "Made by edgeloop from report.json and manifest.json, which lie beside this page. The digest "
    "does not cover it, since it tells times: the same conversion takes others elsewhere."
)
MOST_REFUSALS = 8
"""More refused variants than these are counted, not named, in the verdict."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing may be fetched or run, whatever a name on the page would like to be."""


def render(report: ConversionReport, identity: Identity) -> str:
    """The report as one self-contained HTML page.

    Args:
        report: what was tried, and what came of it.
        identity: what the artifact's owner declares about it.

    Returns:
        The same text for the same arguments: it depends on no order but theirs.
    """
    return f"<!doctype html>\n{_html(report, identity)}\n"


def _html(report: ConversionReport, identity: Identity) -> Html:
    style = Html(files(__package__).joinpath("style.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        rows(
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
            tag("title", f"{report.name} {report.version} · conversion report"),
            tag("style", Html(style + layers_style())),
        ),
    )
    return tag("html", head, tag("body", _body(report, identity)), lang="en")


def _body(report: ConversionReport, identity: Identity) -> Html:
    drawing = plot(report)
    caveats = notes(report)
    covered = coverage_section(report)
    noise = noise_section(report)
    return rows(
        tag("header", _heading(report, identity), _verdict(report), overview(report)),
        tag(
            "main",
            rows(
                _section("Variants", variant_table(report), _footnote(report))
                if report.variants
                else None,
                _section(_drawn(report), drawing) if drawing else None,
                _section("What was tried", tried_section(report.search)) if report.search else None,
                _section("Noise by layer", noise) if noise else None,
                _section("How the model is fed", feeding_section(report.input_check))
                if report.input_check
                else None,
                _section("Operations by delegate", covered) if covered else None,
                _section("Read this with care", _notes(caveats)) if caveats else None,
                _section("Model", model_section(report.signature, identity)),
                _section("Provenance", provenance_section(report.provenance, report.golden)),
            ),
        ),
        tag("footer", tag("p", _COLOPHON)),
    )


def _drawn(report: ConversionReport) -> str:
    timed = sum(v.latency is not None for v in report.variants) > 1
    return "Likeness, size and latency" if timed else "Size and likeness"


def _heading(report: ConversionReport, identity: Identity) -> Html:
    return join(
        [
            tag("p", "edgeloop · conversion report", class_="overline"),
            tag("h1", foreign(report.name), " ", tag("span", foreign(report.version))),
            tag("p", foreign(identity.description), class_="description")
            if identity.description
            else None,
        ]
    )


def _verdict(report: ConversionReport) -> Html:
    found = verdict(report)
    words = tag(
        "div",
        tag("h2", found.headline),
        _refusals([v for v in report.variants if v.status == "refused"]),
        tag("p", found.detail),
    )
    return tag("div", icon(found.tone), words, class_=f"verdict {found.tone.value}")


def _refusals(refused: list[VariantReport]) -> Html | None:
    """Which were refused and by which number; the table has the whole of it."""
    if not refused:
        return None
    lines = [
        tag("li", tag("b", foreign(variant.id)), " ", foreign(in_brief(variant)))
        for variant in refused[:MOST_REFUSALS]
    ]
    if more := refused[MOST_REFUSALS:]:
        lines.append(tag("li", f"and {len(more)} more, see below"))
    return tag("ul", *lines)


def _section(title: str, *content: Html | None) -> Html:
    return tag("section", tag("h2", title), *content)


def _footnote(report: ConversionReport) -> Html | None:
    if all(v.agreement is None or v.agreement.accuracy is None for v in report.variants):
        return None
    return tag(
        "p",
        "± is a 95% margin of the change in accuracy, for other inputs of the same kind: only "
        "inputs that the two answer differently can change it. The margin is this or less ",
        "(Agresti and Min, 2005).",
        class_="footnote",
    )


def _notes(caveats: tuple[Note, ...]) -> Html:
    return tag(
        "ul",
        *(
            tag("li", icon(note.tone), tag("h3", note.title), tag("p", note.body),
                class_=note.tone.value)
            for note in caveats
        ),
        class_="notes",
    )  # fmt: skip
