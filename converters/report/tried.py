"""What a budget search tried: every variant with its cost, and what it missed."""

from __future__ import annotations

from converters.report import figures
from converters.report.markup import Html, foreign, join, rows, tag
from converters.report.symbols import sign
from edge_sdk.spec import Search, Trial
from edge_sdk.text import bytes_text


def tried_section(search: Search) -> Html:
    """The budget, and a row for each trial, the smallest first."""
    timed = any(trial.latency_ms is not None for trial in search.trials)
    source = f", latency from {search.latency_from}" if search.latency_from else ""
    titles = ["Tried", "Size", "Accuracy drop", *(["Latency"] if timed else []), "Verdict"]
    return join(
        [
            tag("p", "The budget: ", tag("code", search.budget), source, class_="description"),
            tag(
                "table",
                tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles))),
                tag("tbody", rows(*(_row(trial, search, timed) for trial in search.trials))),
                class_="variants",
            ),
            tag(
                "p",
                "● marks the front: no other is as good in all of these and better in one.",
                class_="footnote",
            ),
        ]
    )


def _row(trial: Trial, search: Search, timed: bool) -> Html:
    drop = trial.accuracy_drop
    latency = "" if trial.latency_ms is None else f"{trial.latency_ms:.3g} ms"
    name = tag("b", foreign(trial.id)) if trial.id in search.chosen else foreign(trial.id)
    front = " ●" if trial.front else ""
    return tag(
        "tr",
        tag("th", sign(trial.format), " ", name, front, scope="row"),
        tag("td", bytes_text(trial.size) if trial.size else figures.UNKNOWN, class_="number"),
        tag("td", figures.UNKNOWN if drop is None else figures.percent(drop), class_="number"),
        tag("td", latency, class_="number") if timed else None,
        tag("td", *_verdict(trial, search)),
    )


def _verdict(trial: Trial, search: Search) -> tuple[Html | str | None, ...]:
    wide = None
    if trial.wide:
        names = ", ".join(name.partition(";")[0] for name in trial.wide)
        wide = tag("small", "left in float: ", foreign(names))
    if trial.id in search.chosen:
        return (tag("b", "chosen"), wide)
    if trial.holds:
        return ("holds, but is larger", wide)
    reasons = [*map(str, trial.missed), *([trial.reason] if trial.reason else [])]
    return (foreign("; ".join(dict.fromkeys(reasons))), wide)
