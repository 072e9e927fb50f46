"""How long one call of a variant takes on this machine, beside all others.

The sessions that proved the variants are called on a real input, as ``edge bench`` calls them:
warmed up, taking turns, each a median of many calls. A machine that is busy with other things
disturbs all of them alike. Core ML has no engine outside Apple's systems, and no latency here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from converters.engines import at_work
from converters.package import Built
from converters.samples import Samples
from converters.sources.base import Arrays, Source, alone
from converters.steps import Steps
from edge_sdk.runtime.bench import time_sessions
from edge_sdk.spec import Latency

SECONDS = 0.2
"""For each variant; a slow one takes as long as a few of its calls."""
STEP = "measure the latency"


def timed(original: Source, built: Sequence[Built], samples: Samples, steps: Steps) -> list[Built]:
    """The variants with their latency; those that nothing here runs stay without.

    Raises:
        ConversionError: one that has just been proven does not run any more.
    """
    sessions = {b.id: b.runner.session for b in built if b.runner.session is not None}
    if not sessions:
        return list(built)
    steps.begin(STEP)
    inputs: Arrays = alone(samples.read(0, 1), original.signature, 0)
    with at_work("Measuring the latency"):
        found = time_sessions(
            {name: (session, inputs) for name, session in sessions.items()},
            seconds=SECONDS * len(sessions),
        )
    latencies: Mapping[str, Latency] = {
        name: Latency(
            p50_ms=round(timings.p50_ms, 4),
            p90_ms=round(timings.p90_ms, 4),
            calls=timings.calls,
            backend=f"{placement.backend} {placement.backend_version}",
            threads=placement.threads,
        )
        for name, timings in found.items()
        for placement in [sessions[name].placement]
    }
    return [replace(b, latency=latencies.get(b.id)) for b in built]
