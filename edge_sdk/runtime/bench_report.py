"""A whole measurement: what is measured, how it went, and on what machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from edge_sdk.errors import UnavailableError
from edge_sdk.machine.profile import profile
from edge_sdk.machine.surroundings import Surroundings
from edge_sdk.runtime.bench import measure
from edge_sdk.runtime.configurations import plan
from edge_sdk.runtime.model_file import is_artifact, open_artifact
from edge_sdk.spec import DeviceProfile
from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import ArtifactRef


def bench(
    model: Path,
    *,
    seconds: float,
    variants: Sequence[str] | None = None,
    backends: Sequence[str] | None = None,
    delegates: Sequence[tuple[str, ...]] = ((),),
    threads: Sequence[int] | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    device: str | None = None,
    progress: Callable[[str], Any] = lambda _: None,
) -> BenchReport:
    """Measure a model on this machine, in every way that is asked for.

    Args:
        model: an artifact or a bare model.
        seconds: for all measurements together, loading excluded.
        variants, backends, delegates, threads: as ``plan`` takes them.
        shapes: of inputs whose size is open.
        device: what to call this machine; None takes its own name.
        progress: called with a line for people as each step begins.

    Raises:
        EdgeError: as ``plan`` and ``measure``.
    """
    configurations, skipped = plan(
        model, variants=variants, backends=backends, delegates=delegates, threads=threads
    )
    around = Surroundings()
    measurements, inputs = measure(
        model,
        configurations,
        seconds=seconds,
        shapes=shapes or {},
        progress=progress,
        around=around,
    )
    return BenchReport(
        model=str(model),
        profile=_profile(device),
        inputs=inputs,
        seconds=seconds,
        measurements=measurements,
        skipped=skipped,
        artifact=_artifact(model),
        conditions=around.conditions(),
    )


def bench_auto(
    model: Path,
    folder: Path,
    *,
    seconds: float,
    variant: str | None = None,
    backend: str | None = None,
    threads: int | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    device: str | None = None,
    progress: Callable[[str], Any] = lambda _: None,
) -> BenchReport:
    """Measure what ``auto`` would, and keep what is fastest for later loads.

    Args:
        model, seconds, shapes, device, progress: as ``bench``.
        folder: where choices are kept.
        variant, backend, threads: only this one.

    Raises:
        UnavailableError: nothing here runs it rightly.
        EdgeError: as ``race``.
    """
    from edge_sdk.runtime.auto import Limits, keep
    from edge_sdk.runtime.candidates import Model, candidates, left_out
    from edge_sdk.runtime.race import race

    chosen = Model(model, variant)
    limits = Limits(backend=backend, threads=threads, shapes=dict(shapes or {}))
    around = Surroundings()
    raced = race(
        chosen,
        candidates(chosen, backend, threads),
        seconds=seconds,
        shapes=limits.shapes,
        progress=progress,
        around=around,
    )
    if raced.fastest is None:
        (first, *_) = raced.skipped
        raise UnavailableError(
            f"Nothing here runs {model} rightly: {first.variant}: {first.reason}.", "edge doctor"
        )
    keep(chosen, folder, raced, limits)
    return BenchReport(
        model=str(model),
        profile=_profile(device),
        inputs=raced.fed,
        seconds=seconds,
        measurements=raced.measured,
        skipped=(*left_out(chosen, backend), *raced.skipped),
        fastest=raced.fastest,
        artifact=_artifact(model),
        conditions=around.conditions(),
    )


def _profile(device: str | None) -> DeviceProfile:
    here = profile()
    return here if device is None else replace(here, name=device)


def _artifact(path: Path) -> ArtifactRef | None:
    """Which artifact it is; None for a bare model."""
    if not is_artifact(path):
        return None
    with open_artifact(path) as artifact:
        manifest = artifact.manifest
        return ArtifactRef(digest=artifact.digest, name=manifest.name, version=manifest.version)
