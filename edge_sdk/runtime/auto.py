"""Auto: which engine, delegates and number of threads run a model fastest here, found out once.

Nobody knows beforehand: a delegate that is fast on one net hands the next one back and forth, two
threads are slower than one on a machine that has other work, and plain kernels win on nets of three
operations. So the ways there are (``candidates``) are raced (``race``). The choice is kept
(``kept``) for this very model, processor, number of cores and set of engines; ``edge bench
--delegate auto`` shows the table and chooses anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from edge_sdk.runtime.candidates import Model, candidates
from edge_sdk.runtime.kept import Kept
from edge_sdk.runtime.race import Raced, race
from edge_sdk.spec import Word
from edge_sdk.spec.bench import Configuration

BUDGET_SECONDS = 4.0
"""For the turns, at most; loading and looking at each comes on top."""
RULES = "2"
"""By which it is chosen: what was chosen by others is chosen anew."""


class Limits(Word, frozen=True, kw_only=True):
    """What is not left to be chosen: an engine, a number of threads; and of which inputs it is."""

    backend: str | None = None
    threads: int | None = None
    shapes: dict[str, tuple[int, ...]] = msgspec.field(default_factory=dict)


class Choice(Word, frozen=True, kw_only=True):
    """What was found to be fastest.

    Attributes:
        p50_ms: of each that was measured, by its name.
    """

    fastest: Configuration
    p50_ms: dict[str, float]


def fastest(
    path: Path,
    memory: Path,
    *,
    variant: str | None = None,
    backend: str | None = None,
    threads: int | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> Configuration:
    """The configuration that is kept for this model on this machine; if there is none, measured.

    Args:
        path: an artifact or a bare model.
        memory: where choices are kept.
        variant, backend, threads: fixed to these; None leaves engine and threads to be chosen. The
            variant is never chosen by speed: variants answer differently.
        shapes: see ``race``.

    Raises:
        EdgeError: nothing here runs it at all.
    """
    model = Model(path, variant)
    limits = Limits(backend=backend, threads=threads, shapes=dict(shapes or {}))
    if (known := _kept(memory).find(_about(model, memory, limits))) is not None:
        return known.fastest
    options = candidates(model, backend, threads)
    raced = race(model, options, seconds=BUDGET_SECONDS, shapes=limits.shapes)
    # Where none is right, the plainest is held to the golden vectors again, and says what is wrong.
    if raced.fastest is None:
        return options[0]
    keep(model, memory, raced, limits)
    return raced.fastest


def keep(model: Model, memory: Path, raced: Raced, limits: Limits) -> None:
    """Remember who won."""
    assert raced.fastest is not None, "somebody won"
    word = Choice(
        fastest=raced.fastest,
        p50_ms={str(each.configuration): each.timings.p50_ms for each in raced.measured},
    )
    _kept(memory).keep(_about(model, memory, limits), word)


def _kept(memory: Path) -> Kept[Choice]:
    return Kept(memory / "auto", Choice)


def _about(model: Model, memory: Path, limits: Limits) -> dict[str, str]:
    """Everything that the choice depends on."""
    return {
        **model.about(memory),
        "rules": RULES,
        "backend": limits.backend or "any",
        "threads": str(limits.threads or "any"),
        "shapes": str(sorted(limits.shapes.items())),
    }
