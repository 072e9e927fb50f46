"""The table of variants: what each is, weighs, answers, and was held to.

A column exists only if some variant has something to put in it. Each variant is a ``tbody`` of its
own, which keeps it whole on paper and makes it a card on a phone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from converters.report import figures
from converters.report.accuracy import accuracy_of_original, change_of, margin_of
from converters.report.checks import Check, Outcome, checks, reasons
from converters.report.icons import badge
from converters.report.markup import Html, foreign, join, rows, tag
from converters.report.symbols import FORMATS, sign
from converters.report.verdict import Standing, standing
from edge_sdk.spec import Agreement, ConversionReport, VariantReport
from edge_sdk.text import bytes_text

Cell = Callable[[VariantReport], Html | None]


@dataclass(frozen=True)
class _Column:
    """One column.

    Attributes:
        cell: its content for a variant; None for none.
        original: its content for the original.
        style: its class in the style sheet.
        below: a second line of its title.
        label: what stands for both on a card, if not the title.
    """

    title: str
    cell: Cell
    original: Html | None = None
    style: str = "number"
    below: str | None = None
    label: str | None = None


def variant_table(report: ConversionReport) -> Html:
    """The original first, then the variants in the order they were asked for."""
    columns = [c for c in _columns(report) if any(c.cell(v) is not None for v in report.variants)]
    head = tag(
        "thead",
        tag("tr", tag("th", "Variant", scope="col"), *(_title(c) for c in columns)),
    )
    return tag(
        "table",
        tag("caption", "The original and its variants"),
        rows(
            head,
            _original(report, columns),
            *(_body(variant, columns) for variant in report.variants),
        ),
        class_="variants",
    )


def _columns(report: ConversionReport) -> tuple[_Column, ...]:
    widest = max([1.0, *(_share(v.size, report.source_size) for v in report.variants)])
    accuracy = accuracy_of_original(report)

    def measured(show: Callable[[Agreement], Html | None]) -> Cell:
        return lambda variant: show(variant.agreement) if variant.agreement else None

    def figure(show: Callable[[float | None], str], name: str) -> Cell:
        def cell(found: Agreement) -> Html | None:
            value = getattr(found, name)
            return None if value is None else tag("span", show(value))

        return measured(cell)

    return (
        _Column("Status", lambda v: badge(standing(v)), tag("span", "original"), "status"),
        _Column(
            "Size",
            lambda v: _size(v.size, report.source_size, widest),
            _size(report.source_size, report.source_size, widest),
            "size",
            "share of the original",
        ),
        _Column(
            "Accuracy",
            measured(_accuracy),
            None if accuracy is None else tag("span", figures.percent(accuracy)),
            below="change, points",
        ),
        _Column("Latency", _latency, below="median, p90"),
        _Column("Same argmax", figure(figures.percent, "argmax")),
        _Column("Cosine", figure(figures.cosine, "cosine")),
        _Column(
            "Difference",
            measured(_difference),
            below="max, mean",
            label="Max, mean difference",
        ),
        _Column("Checked by", measured(_evidence), style="evidence", below="on"),
        _Column("Held to", lambda v: _limits(checks(v)), style="limits"),
    )


def _title(column: _Column) -> Html:
    below = tag("small", column.below) if column.below else None
    return tag("th", column.title, below, scope="col", class_=column.style)


def _original(report: ConversionReport, columns: list[_Column]) -> Html:
    name = tag("th", tag("b", "Original"), tag("small", foreign(report.provenance.source_format)),
               scope="row")  # fmt: skip
    cells = (
        tag("td") if column.original is None else _cell(column, column.original)
        for column in columns
    )
    return tag("tbody", tag("tr", name, *cells), class_="original")


def _body(variant: VariantReport, columns: list[_Column]) -> Html:
    what = tag(
        "small",
        sign(variant.format),
        f"{FORMATS[variant.format]} · ",
        foreign(variant.recipe),
    )
    name = tag("th", tag("b", foreign(variant.id)), what, scope="row")
    cells = (_cell(column, column.cell(variant)) for column in columns)
    why = _why(variant)
    return tag(
        "tbody",
        tag("tr", name, *cells),
        tag("tr", tag("td", why, colspan=len(columns) + 1), class_="why") if why else None,
        class_=f"{standing(variant).tone.value} {variant.format}",
    )


def _cell(column: _Column, content: Html | None) -> Html:
    style, label = column.style, column.label or column.title
    if content is None:
        return tag("td", figures.UNKNOWN, class_=f"{style} blank", data_label=label)
    return tag("td", content, class_=style, data_label=label)


def _share(size: int, source_size: int) -> float:
    return size / source_size if source_size > 0 else 0.0


def _size(size: int, source_size: int, widest: float) -> Html | None:
    """The size, its share of the original, and the share as a bar beside the original's whole."""
    if not size:
        return None
    share = _share(size, source_size)
    if not share:
        return tag("span", bytes_text(size))
    whole = tag("rect", width=100 / widest, height=6, class_="whole")
    part = tag("rect", width=100 * share / widest, height=6, class_="part")
    return join(
        [
            tag("span", bytes_text(size)),
            " ",
            tag("small", figures.size_share(share)),
            tag("svg", whole, part, viewBox="0 0 100 6", preserveAspectRatio="none", class_="bar",
                aria_hidden="true"),
        ]
    )  # fmt: skip


def _accuracy(found: Agreement) -> Html | None:
    if found.accuracy is None:
        return None
    change, margin = change_of(found), margin_of(found)
    noise = "" if margin is None else f" ± {100 * margin:.2f}"
    below = None if change is None else tag("small", figures.points(change) + noise)
    return join([tag("span", figures.percent(found.accuracy)), below])


def _latency(variant: VariantReport) -> Html | None:
    found = variant.latency
    if found is None:
        return None
    median, slow = map(figures.milliseconds, (found.p50_ms, found.p90_ms))
    return join([tag("span", median), tag("small", slow)])


def _difference(found: Agreement) -> Html | None:
    """What was compared and has no number differs by one that is not finite."""
    if not found.samples:
        return None
    greatest, mean = (
        figures.difference(math.inf if value is None else value)
        for value in (found.max_difference, found.mean_difference)
    )
    return join([tag("span", greatest), tag("small", mean)])


def _evidence(found: Agreement) -> Html:
    if not found.samples:
        below = "structure only, not run"
    else:
        below = f"{figures.count(found.samples)} {found.on} samples"
    return join([tag("span", foreign(found.checked_by)), tag("small", below)])


def _limits(held: tuple[Check, ...]) -> Html | None:
    if not held:
        return None
    return tag("ul", *(_limit(check) for check in held))


def _limit(check: Check) -> Html:
    symbol, word = check.outcome.value
    note = f", {word}" if check.outcome is Outcome.OPEN else None
    mark = tag("span", symbol, aria_label=word, role="img", class_="sign")
    bound = tag("span", check.required, class_="bound")
    words = tag("span", f"{check.name} ", bound, note)
    return tag("li", mark, words, class_=check.outcome.name.lower())


def _why(variant: VariantReport) -> Html | None:
    """For a refusal its reasons, for what was not run the operations in the way."""
    match standing(variant):
        case Standing.REFUSED:
            found = reasons(variant)
            return tag("ul", *(tag("li", foreign(reason)) for reason in found)) if found else None
        case Standing.INSPECTED if variant.agreement and variant.agreement.unchecked_ops:
            ops = ", ".join(variant.agreement.unchecked_ops)
            return tag(
                "p", "Only looked at: nothing here evaluates ", tag("code", foreign(ops)), "."
            )
        case _:
            return None
