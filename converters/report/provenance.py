"""Where the artifact came from: enough to make it again, and to see that it is the same."""

from __future__ import annotations

from converters.report.figures import counted
from converters.report.markup import Html, foreign, join, tag
from edge_sdk.spec import Provenance


def provenance_section(provenance: Provenance, golden: int) -> Html:
    """Digests of everything that went in, and versions of everything that worked on it."""
    source = tag("p", foreign(provenance.source), " (", foreign(provenance.source_format), ")")
    return tag(
        "dl",
        _entry("Source", join([source, _digest(provenance.source_sha256)])),
        _entry("Calibration data", _digest(provenance.calibration_sha256)),
        _entry("Evaluation data", _digest(provenance.evaluation_sha256)),
        _entry("Golden vectors", _golden(golden)),
        _entry("Made with", _tools(provenance.tools)) if provenance.tools else None,
    )


def _entry(name: str, content: Html) -> Html:
    return tag("div", tag("dt", name), tag("dd", content))


def _digest(sha256: str | None) -> Html:
    if sha256 is None:
        return tag("p", "none given", class_="empty")
    return tag("p", tag("code", "sha256:", foreign(sha256)), class_="digest")


def _golden(count: int) -> Html:
    """What the owner gives away: real inputs, for devices to check themselves with."""
    if not count:
        return tag("p", "none: no device can check its answers", class_="empty")
    return tag(
        "p",
        f"{counted(count, 'real input')} and the original's answers, in golden.npz; "
        "to ship none: edge convert … --golden none",
    )


def _tools(tools: dict[str, str]) -> Html:
    """Ourselves first, the others by name."""
    names = sorted(tools, key=lambda name: (name != "edgeloop", name))
    return tag(
        "ul",
        *(tag("li", foreign(name), " ", tag("b", foreign(tools[name]))) for name in names),
        class_="tools",
    )
