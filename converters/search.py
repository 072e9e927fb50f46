"""Budget search: everything cheap is made and proven once; then the smallest that holds is kept.

From one float build a recipe costs seconds, and all variants are compared in one pass over the
data; so the search makes them all, cheapest first (``mixed`` widening its layers until the budget's
accuracy holds), and what it did not choose is the evidence: the Pareto front of accuracy, size and
latency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from msgspec import structs

from converters.budget import Budget, device_latencies
from converters.package import Built
from edge_sdk.spec import Agreement, Search, Trial, VariantReport


class Choice(NamedTuple):
    """What goes into the artifact, and the search that led to it.

    Attributes:
        refused: everything tried in formats where nothing holds; empty where the search succeeded.
    """

    built: list[Built]
    refused: list[VariantReport]
    search: Search


def choose(budget: Budget, built: Sequence[Built], refused: Sequence[VariantReport]) -> Choice:
    """The smallest variant within the budget, in each format."""
    latencies = {b.id: b.latency.p50_ms for b in built if b.latency is not None}
    if budget.profile is not None:
        latencies = device_latencies(budget.profile)
    search = weigh(budget, built, refused, latencies)
    held = {trial.format for trial in search.trials if trial.id in search.chosen}
    return Choice(
        built=[b for b in built if b.id in search.chosen],
        refused=[
            *over_budget(search, [b for b in built if b.format not in held]),
            *(r for r in refused if r.format not in held),
        ],
        search=search,
    )


def drop_of(found: Agreement | None) -> float | None:
    """What a budget calls accuracy drop; None where nothing says."""
    if found is None:
        return None
    if found.accuracy is not None and found.source_accuracy is not None:
        return round(found.source_accuracy - found.accuracy, 12)
    if found.argmax is not None and found.on != "random":
        return round(1 - found.argmax, 12)
    return None


def weigh(
    budget: Budget,
    built: Sequence[Built],
    refused: Sequence[VariantReport],
    latencies: Mapping[str, float],
) -> Search:
    """Judge every variant by the budget and choose the smallest that holds in each format."""
    trials: list[Trial] = []
    for variant in (*(b.report() for b in built), *refused):
        drop, latency = drop_of(variant.agreement), latencies.get(variant.id)
        # What is refused was not measured for latency, and misses no limit by that.
        limits = budget if variant.status != "refused" else replace(budget, latency=None)
        missed = limits.missed(variant.size, drop, latency) if variant.size else ()
        trials.append(
            Trial(
                id=variant.id,
                format=variant.format,
                recipe=variant.recipe,
                size=variant.size,
                accuracy_drop=drop,
                latency_ms=latency,
                holds=variant.status != "refused" and not missed,
                missed=missed,
                reason=variant.reason,
                wide=variant.wide,
            )
        )
    trials = _on_front(sorted(trials, key=lambda trial: (trial.size, trial.id)))
    chosen: dict[str, str] = {}
    for trial in trials:
        if trial.holds:
            chosen.setdefault(trial.format, trial.id)
    return Search(
        budget=budget.text,
        latency_from=None if budget.profile is None else budget.profile.name,
        trials=tuple(trials),
        chosen=tuple(chosen.values()),
    )


def _on_front(trials: Sequence[Trial]) -> list[Trial]:
    """The trials, those marked that no other beats."""
    made = [trial for trial in trials if trial.size]
    points = {t.id: (t.size, _worst(t.accuracy_drop), _worst(t.latency_ms)) for t in made}
    front = {n for n, point in points.items() if not any(_beats(o, point) for o in points.values())}
    return [structs.replace(trial, front=trial.id in front) for trial in trials]


def _worst(number: float | None) -> float:
    return float("inf") if number is None else number


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether one is nowhere worse and somewhere better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def over_budget(search: Search, built: Sequence[Built]) -> list[VariantReport]:
    """Proven variants that miss the budget, as refusals."""
    missed = {trial.id: trial.missed for trial in search.trials}
    return [
        structs.replace(
            b.report(),
            status="refused",
            reason="; ".join(map(str, missed[b.id])),
            shortfalls=missed[b.id],
        )
        for b in built
    ]
