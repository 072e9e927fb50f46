"""Figures to remember: the original, the smallest variant, the fastest, the furthest; on what."""

from __future__ import annotations

from converters.report import figures
from converters.report.accuracy import accuracy_of_original, change_of
from converters.report.markup import Html, foreign, tag
from converters.report.verdict import judged_on
from edge_sdk.spec import Agreement, ConversionReport, VariantReport
from edge_sdk.text import bytes_text

Ran = list[tuple[VariantReport, Agreement]]


def overview(report: ConversionReport) -> Html | None:
    """The figures that the report has; None where there is nothing beside the original."""
    ran = [(v, v.agreement) for v in report.variants if v.agreement and v.agreement.samples]
    others = [
        _smallest(report),
        _fastest(report),
        _furthest(ran),
        _evidence([agreement for _, agreement in ran]),
    ]
    if not any(others):
        return None
    return tag("dl", _original(report), *others, class_="overview")


def _tile(name: str, figure: str, *below: Html | str | None) -> Html:
    return tag("div", tag("dt", name), tag("dd", tag("b", figure), tag("small", *below)))


def _original(report: ConversionReport) -> Html:
    accuracy = accuracy_of_original(report)
    known = None if accuracy is None else f", accuracy {figures.percent(accuracy)}"
    kind = foreign(report.provenance.source_format)
    return _tile("Original", bytes_text(report.source_size), kind, known)


def _smallest(report: ConversionReport) -> Html | None:
    """The least of those that are in the artifact, or would be if all had passed."""
    kept = [v for v in report.variants if v.status == "converted" and v.size]
    if not kept:
        return None
    variant = min(kept, key=lambda v: v.size)
    share = None
    if report.source_size:
        share = f", {figures.size_share(variant.size / report.source_size)} of the original"
    title = "Smallest variant" if report.passed else "Smallest, of those not refused"
    return _tile(title, bytes_text(variant.size), foreign(variant.id), share)


def _fastest(report: ConversionReport) -> Html | None:
    """The least latency of those that are in the artifact, or would be if all had passed."""
    kept = [(v.latency.p50_ms, v) for v in report.variants if v.latency and v.status == "converted"]
    if len(kept) < 2:
        return None
    time, variant = min(kept, key=_number)
    return _tile("Fastest variant", figures.milliseconds(time), foreign(variant.id))


def _furthest(ran: Ran) -> Html | None:
    """The variant that differs most, by the most telling number there is."""
    changes = [(change, v) for v, found in ran if (change := change_of(found)) is not None]
    if changes:
        change, variant = min(changes, key=_number)
        figure = f"{figures.points(change)} points"
        if len(changes) > 1 and all(other == change for other, _ in changes):
            return _tile("Change in accuracy", figure, "every variant")
        return _worst("Worst change in accuracy", figure, variant)
    shares = [(found.argmax, v) for v, found in ran if found.argmax is not None]
    if shares:
        share, variant = min(shares, key=_number)
        return _worst("Least same argmax", figures.percent(share), variant)
    cosines = [(found.cosine, v) for v, found in ran if found.cosine is not None]
    if cosines:
        cosine, variant = min(cosines, key=_number)
        return _worst("Least cosine similarity", figures.cosine(cosine), variant)
    return None


def _worst(title: str, figure: str, variant: VariantReport) -> Html:
    refused = ", refused" if variant.status == "refused" else None
    return _tile(title, figure, foreign(variant.id), refused)


def _number(pair: tuple[float, VariantReport]) -> float:
    return pair[0]


def _evidence(found: list[Agreement]) -> Html | None:
    if not found:
        return None
    samples = max(agreement.samples for agreement in found)
    labelled = any(agreement.accuracy is not None for agreement in found)
    kinds = figures.listed(list(dict.fromkeys(judged_on(agreement.on) for agreement in found)))
    return _tile(
        "Judged on",
        figures.counted(samples, "sample"),
        f"{kinds}{', labelled' if labelled else ''}",
    )
