"""Mixed precision: the layers that break stay in floating point, and no more of them than needed.

``int8`` is made first. If it is good enough there is nothing to widen. If not, the layer to blame
(``converters.sensitivity``) is left in float together with those that read what it makes; the build
is made and looked into again, and so on, until the recipe's limits hold on the samples it is judged
by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from converters.parity import On, Tally, compare, judge
from converters.probes import open_probe
from converters.recipe import Recipe
from converters.samples import Samples
from converters.sensitivity import Group, culprit, layer_errors, with_readers
from converters.sources import Source
from converters.sources.base import alone
from converters.targets import Emitted, Target
from edge_sdk.errors import ConversionError, EdgeError
from edge_sdk.spec import LayerError

LOOKED_AT = 16
"""Samples that layers are compared on."""
MOST_ROUNDS = 24
JUDGED = 512
"""Samples that an attempt is judged on; the one that is kept is judged on all."""


@dataclass(frozen=True)
class Attempt:
    """One build with so many layers wide.

    Attributes:
        recipe: with those layers.
        holds: whether it met the recipe's limits on the samples tried.
    """

    recipe: Recipe
    emitted: Emitted
    holds: bool


@dataclass(frozen=True)
class Judge:
    """What attempts are judged by: a sample of what the variant will be judged by."""

    original: Source
    samples: Samples
    on: On
    scores: str | None

    def holds(self, emitted: Emitted, recipe: Recipe) -> bool:
        """Whether the recipe's limits hold."""
        runner = emitted.runner
        tallies, failures = compare(
            self.original, {"it": runner}, self.samples, self.scores, lambda _: None
        )
        if failures:
            return False
        tally: Tally = tallies["it"]
        return not judge(tally, tally.agreement(self.on, runner), recipe)


def few(samples: Samples, count: int) -> Samples:
    """At most so many of the samples, evenly spread."""
    chosen = samples.pick(count)
    if len(chosen) == len(samples):
        return samples
    return replace(
        samples,
        count=len(chosen),
        read=lambda start, stop: samples.at(chosen[start:stop]),
        labels=None if samples.labels is None else samples.labels[chosen],
    )


def settle(
    target: Target,
    recipe: Recipe,
    calibration: Samples,
    judged: Judge,
    on_attempt: Callable[[int], None] = lambda _: None,
) -> Attempt:
    """The narrowest build that holds; if none does, the widest there is.

    Args:
        target: of a format that has probes.
        recipe: ``mixed``, or another's limits under its name.
        calibration: to choose ranges from, and to compare layers on.
        judged: decides.
        on_attempt: told how many layers are wide in the attempt that begins.

    Raises:
        ConversionError: the engine can make none.
    """
    on_attempt(0)
    first = target.emit(replace(recipe, wide=()), calibration)
    attempt = Attempt(replace(recipe, wide=()), first, judged.holds(first, recipe))
    if attempt.holds:
        return attempt
    layers: dict[str, None] = {}
    blamed: set[str] = set()
    for _ in range(MOST_ROUNDS):
        errors, groups = rank(target, attempt.emitted, judged.original, calibration)
        worst = culprit(errors, blamed)
        if worst is None:
            break
        blamed.add(worst.name)
        layers |= dict.fromkeys(with_readers(worst.name, groups))
        on_attempt(len(layers))
        wider = replace(recipe, wide=tuple(layers))
        try:
            emitted = target.emit(wider, calibration)
        except ConversionError:  # all of it wide is no quantized build any more
            break
        attempt = Attempt(wider, emitted, judged.holds(emitted, recipe))
        if attempt.holds:
            break
    return attempt


def rank(
    target: Target, emitted: Emitted, original: Source, samples: Samples
) -> tuple[tuple[LayerError, ...], tuple[Group, ...]]:
    """The errors of a quantized build's layers beside the float build; see ``layer_errors``."""
    signature = original.signature
    try:
        reference = open_probe(target.format, target.trunk(), signature)
        quantized = open_probe(target.format, emitted.path.read_bytes(), signature)
        chosen = samples.at(samples.pick(LOOKED_AT))
        rows = (alone(chosen, signature, i) for i in range(len(next(iter(chosen.values())))))
        return layer_errors(reference, quantized, rows)
    except EdgeError as error:
        raise ConversionError(
            f"The layers of {emitted.path.stem} cannot be compared: {error.message}", error.hint
        ) from error
