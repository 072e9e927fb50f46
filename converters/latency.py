"""How long one call of a variant takes here: what ``edge bench`` measures, briefly."""

from __future__ import annotations

from collections.abc import Sequence

from converters.package import Built
from converters.steps import Steps
from edge_sdk.errors import UnavailableError
from edge_sdk.runtime.bench import measure
from edge_sdk.runtime.configurations import plan

SECONDS = 0.5
"""For each variant, warm-up excluded."""


def measured_here(built: Sequence[Built], steps: Steps) -> dict[str, float]:
    """The median of one call in ms, by variant; those that nothing here runs are left out."""
    found: dict[str, float] = {}
    runnable = [variant for variant in built if variant.file.is_file()]
    steps.begin("measure the latency", len(runnable))
    for done, variant in enumerate(runnable, 1):
        try:
            configurations, _ = plan(variant.file, backends=variant.backends)
            shapes = {
                t.name: tuple(d if isinstance(d, int) else 1 for d in t.shape)
                for t in variant.signature.inputs
            }
            timed, _ = measure(variant.file, configurations, seconds=SECONDS, shapes=shapes)
        except UnavailableError:
            continue
        found[variant.id] = round(min(each.timings.p50_ms for each in timed), 4)
        steps.progress(done, len(runnable))
    return found
