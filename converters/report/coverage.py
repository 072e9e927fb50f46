"""Which delegate takes how much of each variant, where the variants were proven."""

from __future__ import annotations

from converters.report import figures
from converters.report.markup import Html, foreign, join, tag
from edge_sdk.spec import ConversionReport, Coverage


def coverage_section(report: ConversionReport) -> Html | None:
    """One row a variant, one column a delegate; None where no engine ran anything."""
    covered = [(v.id, v.coverage) for v in report.variants if v.coverage]
    if not covered:
        return None
    delegates = list(dict.fromkeys(name for _, c in covered for name in c.taken))
    header = ("Variant", "Operations", *delegates)
    table = tag(
        "table",
        tag("caption", "Operations of each variant, by the delegate that took them"),
        tag("thead", tag("tr", *(tag("th", foreign(name), scope="col") for name in header))),
        tag("tbody", *(_row(variant, c, delegates) for variant, c in covered)),
        class_="plain-table",
    )
    where = (
        "On the machine of the conversion, whose processor is all it was proven on. What a "
        "device's GPU or NPU takes the device itself says: edge bench X.edge"
    )
    return join([table, tag("p", where, class_="footnote")])


def _row(variant: str, found: Coverage, delegates: list[str]) -> Html:
    total = figures.UNKNOWN if found.operations is None else figures.count(found.operations)
    cells = [_taken(found, name) for name in delegates]
    return tag(
        "tr",
        tag("th", tag("b", foreign(variant)), scope="row"),
        *(tag("td", cell) for cell in (total, *cells)),
    )


def _taken(found: Coverage, delegate: str) -> str:
    if delegate not in found.taken:
        return "0"
    count = found.taken[delegate]
    if count is None:
        return "some"
    share = f" ({figures.percent(count / found.operations, 0)})" if found.operations else ""
    return figures.count(count) + share
