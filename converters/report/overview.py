"""Four figures to remember: the original, the smallest variant, the furthest, and the evidence."""

from __future__ import annotations

from converters.report import figures
from converters.report.margin import change_of
from converters.report.markup import Html, foreign, join, tag
from converters.report.verdict import Standing, judged_on, standing
from edge_sdk.spec import Agreement, ConversionReport, VariantReport
from edge_sdk.text import bytes_text


def overview(report: ConversionReport) -> Html:
    """The figures that the report has; at least the original's size."""
    made = [v for v in report.variants if standing(v) not in (Standing.REFUSED, Standing.WRAPPED)]
    ran = [(v, v.agreement) for v in made if v.agreement and v.agreement.samples]
    return tag(
        "dl",
        _original(report),
        _smallest([v for v in made if v.size], report.source_size),
        _furthest(ran),
        _evidence([agreement for _, agreement in ran]),
        class_="overview",
    )


def _tile(name: str, figure: str, below: Html) -> Html:
    return tag("div", tag("dt", name), tag("dd", tag("b", figure), tag("small", below)))


def _original(report: ConversionReport) -> Html:
    accuracies = [v.agreement.source_accuracy for v in report.variants if v.agreement]
    known = [f"accuracy {figures.percent(a)}" for a in accuracies if a is not None][:1]
    words = [foreign(report.provenance.source_format), *known]
    return _tile("Original", bytes_text(report.source_size), join(words, ", "))


def _smallest(made: list[VariantReport], source_size: int) -> Html | None:
    if not made:
        return None
    variant = min(made, key=lambda v: v.size)
    share = variant.size / source_size if source_size else None
    words = [foreign(variant.id)]
    if share:
        words.append(tag("span", figures.percent(share, 0 if share >= 0.1 else 1), " of it"))
    return _tile("Smallest variant", bytes_text(variant.size), join(words, ", "))


def _furthest(ran: list[tuple[VariantReport, Agreement]]) -> Html | None:
    """The variant that differs most, by the most telling number there is."""
    changes = [(change, v.id) for v, found in ran if (change := change_of(found)) is not None]
    if changes:
        change, name = min(changes, key=lambda pair: pair[0])
        return _tile("Worst change in accuracy", f"{figures.points(change)} points", foreign(name))
    shares = [(found.argmax, v.id) for v, found in ran if found.argmax is not None]
    if shares:
        share, name = min(shares, key=lambda pair: pair[0])
        return _tile("Least same argmax", figures.percent(share), foreign(name))
    cosines = [(found.cosine, v.id) for v, found in ran if found.cosine is not None]
    if cosines:
        cosine, name = min(cosines, key=lambda pair: pair[0])
        return _tile("Least cosine similarity", figures.cosine(cosine), foreign(name))
    return None


def _evidence(found: list[Agreement]) -> Html | None:
    if not found:
        return None
    samples = max(agreement.samples for agreement in found)
    labelled = any(agreement.accuracy is not None for agreement in found)
    kinds = figures.listed(list(dict.fromkeys(judged_on(agreement.on) for agreement in found)))
    return _tile(
        "Judged on",
        figures.counted(samples, "sample"),
        join([kinds, ", labelled" if labelled else None]),
    )
