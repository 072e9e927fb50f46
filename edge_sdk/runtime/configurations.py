"""Configurations: the ways in which a model can be run here, spelled out to be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_sdk.backends import MODULES, backend
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.runtime.choosing import default_threads
from edge_sdk.runtime.model_file import bare_format, is_artifact, open_artifact
from edge_sdk.spec import Format
from edge_sdk.spec.bench import Configuration, Skipped
from edge_sdk.spec.choice import STAND_INS

__all__ = ["Configuration", "Skipped", "plan"]


def plan(
    path: Path,
    *,
    variants: Sequence[str] | None = None,
    backends: Sequence[str] | None = None,
    delegates: Sequence[tuple[str, ...]] = ((),),
    threads: Sequence[int] | None = None,
) -> tuple[tuple[Configuration, ...], tuple[Skipped, ...]]:
    """Each variant on each engine that runs it, with each delegate list and number of threads.

    Args:
        path: an artifact or a bare model.
        variants, backends: only these; None means all there are.
        delegates: lists in order of preference, one configuration each.
        threads: numbers of threads, one configuration each; None takes the default.

    Returns:
        The configurations, and the variants that nothing here runs.

    Raises:
        UsageError: no such file, variant or backend, or they do not go together.
        UnavailableError: an engine or a variant was asked for by name and cannot run here, or
            nothing can.
    """
    engines = [backend(name) for name in (MODULES if backends is None else backends)]
    runnable: list[tuple[str | None, str]] = []
    skipped: list[Skipped] = []
    read = False
    for variant, model_format, allowed in _builds(path, variants):
        reasons = [f"edgeloop has no engine for {model_format} models on this machine"]
        for engine in engines:
            if model_format not in engine.formats or not _allowed(engine.name, allowed):
                continue
            if backends is None and (variant, STAND_INS.get(engine.name)) in runnable:
                continue  # it is measured when it is asked for by name
            read = True
            try:
                engine.version()
            except UnavailableError as error:
                if backends is not None:
                    raise
                reasons.append(error.message)
            else:
                runnable.append((variant, engine.name))
        if all(name != variant for name, _ in runnable):
            skipped.append(Skipped(variant=variant or path.name, reason=reasons[-1]))
    if backends is not None and not read:
        raise UsageError(
            f"{path} holds nothing that {' or '.join(backends)} runs.",
            "Leave out --backend, or see: edge doctor",
        )
    if skipped and (variants is not None or not runnable):
        raise UnavailableError(f"{skipped[0].variant}: {skipped[0].reason}.", "edge doctor")
    configurations = tuple(
        Configuration(backend=engine, threads=count, variant=variant, delegates=names)
        for variant, engine in runnable
        for names in delegates
        for count in (threads or [default_threads()])
    )
    return configurations, tuple(skipped)


def _allowed(engine: str, allowed: Sequence[str]) -> bool:
    return not allowed or engine in allowed or STAND_INS.get(engine) in allowed


def _builds(
    path: Path, variants: Sequence[str] | None
) -> Iterator[tuple[str | None, Format, tuple[str, ...]]]:
    """Variant, format and the engines its manifest allows; a bare model allows all."""
    if not is_artifact(path):
        if variants is not None:
            raise UsageError(f"{path} is a bare model and has no variants.", "Leave out --variant.")
        yield None, bare_format(path), ()
        return
    with open_artifact(path) as artifact:
        chosen = (
            artifact.manifest.variants
            if variants is None
            else tuple(artifact.variant(name) for name in variants)
        )
    for variant in chosen:
        yield variant.id, variant.format, variant.backends
