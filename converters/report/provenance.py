"""Where the artifact came from: enough to make it again, and to see that it is the same."""

from __future__ import annotations

from converters.report.markup import Html, foreign, join, tag
from edge_sdk.spec import Provenance


def provenance_section(provenance: Provenance) -> Html:
    """Digests of everything that went in, and versions of everything that worked on it."""
    return join([_digests(provenance), _tools(provenance.tools)])


def _digests(provenance: Provenance) -> Html:
    source = join([foreign(provenance.source), f" ({provenance.source_format})"])
    return tag(
        "dl",
        _entry("Source", source, provenance.source_sha256),
        _entry("Calibration data", None, provenance.calibration_sha256),
        _entry("Evaluation data", None, provenance.evaluation_sha256),
    )


def _entry(name: str, what: Html | None, sha256: str | None) -> Html:
    digest = (
        tag("p", "none given", class_="empty")
        if sha256 is None
        else tag("p", tag("code", "sha256:", foreign(sha256)), class_="digest")
    )
    return tag("div", tag("dt", name), tag("dd", tag("p", what) if what else None, digest))


def _tools(tools: dict[str, str]) -> Html | None:
    if not tools:
        return None
    names = sorted(tools, key=lambda name: (name != "edgeloop", name))
    return tag(
        "ul",
        *(tag("li", foreign(name), " ", tag("b", foreign(tools[name]))) for name in names),
        class_="tools",
    )
