"""Budgets: what a build may cost, in a line.

    accuracy_drop<=0.01,size<=1MB,latency<=5ms@pi5.json

``accuracy_drop`` is a share of the judged samples (0.01 is a point): the loss of accuracy where
they are labelled; else the share that is answered otherwise than by the original, which no loss of
accuracy can exceed. ``size`` is of the variant's files. ``latency`` is the median of one call, on
this machine or, after ``@``, as a device measured it: a file that ``edge bench X.edge --json``
wrote there, whose variants go by the same names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from converters.parity import On
from converters.recipe import MIXED, RECIPES, Order, Recipe, plan
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.spec import Limits, Shortfall, decode
from edge_sdk.spec.bench import BenchReport
from edge_sdk.text import nearest

LATENCY = "latency in ms"
EXAMPLE = '--budget "accuracy_drop<=0.01,size<=1MB,latency<=5ms"'
CHEAPEST_FIRST = (
    "int4-weights",
    "palette4",
    "int8",
    "int8-dynamic",
    "int8-weights",
    MIXED,
    "fp16",
    "fp32",
)
"""What is tried unless recipes are named. int16x8 is left out: it runs on reference kernels, tens
of times slower than any other."""

_SHARES, _BYTES = {"": 1.0, "%": 0.01}, {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9}
_UNITS = {**_SHARES, **_BYTES, "US": 1e-3, "MS": 1.0, "S": 1e3}
_KINDS = {
    "accuracy_drop": ("", "%"),
    "size": ("B", "kB", "MB", "GB"),
    "latency": ("us", "ms", "s"),
}


@dataclass(frozen=True)
class Budget:
    """The limits; None is no limit.

    Attributes:
        text: as it was written.
        size: in bytes.
        latency: in milliseconds.
        profile: the file with a device's measurements; None means this machine.
    """

    text: str
    accuracy_drop: float | None = None
    size: float | None = None
    latency: float | None = None
    profile: Path | None = None

    def missed(self, size: int, drop: float | None, latency: float | None) -> tuple[Shortfall, ...]:
        """The limits that these numbers miss; a number that is not known misses its limit."""
        found = (
            ("accuracy drop", drop, self.accuracy_drop),
            ("size in bytes", float(size), self.size),
            (LATENCY, latency, self.latency),
        )
        return tuple(
            Shortfall(limit=name, measured=measured, required=required, unknown=measured is None)
            for name, measured, required in found
            if required is not None and (measured is None or measured > required)
        )

    def widened(self, recipe: Recipe) -> Recipe:
        """The recipe with its own limits on accuracy giving way to the owner's.

        ``mixed`` widens layers until it keeps to them, so it is held to them exactly.
        """
        if self.accuracy_drop is None or recipe.limits.accuracy_drop is None:
            return recipe
        own, drop = recipe.limits, self.accuracy_drop
        if recipe.name != MIXED:
            drop = max(drop, own.accuracy_drop or 0.0)
        argmax = 1 - drop if recipe.name == MIXED else min(own.argmax or 1.0, 1 - drop)
        limits = Limits(argmax=argmax, cosine=own.cosine, accuracy_drop=drop)
        return replace(recipe, limits=limits)


def parse_budget(text: str, *, timed: bool = True) -> Budget:
    """Read a budget.

    Args:
        text: as above.
        timed: whether latencies are measured here.

    Raises:
        UsageError: it is not one, or needs latencies that are not measured.
    """
    limits: dict[str, float] = {}
    profile = None
    for word in filter(None, (part.strip() for part in text.split(","))):
        form = re.fullmatch(r"(\w+)\s*<=?\s*(\d+(?:\.\d+)?)\s*([a-zA-Z%]*)(?:@(.+))?", word)
        name = re.match(r"\w*", word)[0]  # type: ignore[index]
        if name not in _KINDS:
            raise UsageError(f"A budget has no {name!r}.", nearest(name, _KINDS))
        units = _KINDS[name]
        if form is None or form[3].upper() not in {u.upper() for u in units} or name in limits:
            raise UsageError(
                f"{word!r} is no limit on {name}.",
                f"Write each once, as {name}<=NUMBER{units[-2]}: {EXAMPLE}",
            )
        if form[4] is not None:
            if name != "latency":
                raise UsageError(f"{word!r}: only latency is a device's.", EXAMPLE)
            profile = Path(form[4])
        limits[name] = float(form[2]) * _UNITS[form[3].upper()]
    if not limits:
        raise UsageError("The budget is empty.", EXAMPLE)
    if "latency" in limits and profile is None and not timed:
        raise UsageError(
            "A budget of latency on this machine needs it measured, and --no-latency was given.",
            "Leave --no-latency out, or take a device's own: latency<=5ms@BENCH.json",
        )
    return Budget(
        text,
        accuracy_drop=limits.get("accuracy_drop"),
        size=limits.get("size"),
        latency=limits.get("latency"),
        profile=profile,
    )


def ordered(
    budget: Budget | None,
    formats: Sequence[str],
    recipes: Sequence[str],
    *,
    calibrated: bool,
    method: str,
) -> tuple[Order, ...]:
    """What is made: as planned or, with a budget, what is tried, cheapest first in each format.

    Raises:
        UsageError: as ``plan``; or the budget's measurements cannot be read, better now than later.
    """
    names = list(recipes)
    if budget is None:
        return plan(list(formats), names, calibrated=calibrated, method=method)
    if budget.profile is not None:
        device_latencies(budget.profile)
    if not names:
        chosen = set(formats) or {"tflite"}
        names = [
            name
            for name in CHEAPEST_FIRST
            if chosen & set(RECIPES[name].formats) and (calibrated or not RECIPES[name].calibrated)
        ]
    orders = plan(list(formats), names, calibrated=calibrated, method=method)
    return tuple(replace(order, recipe=budget.widened(order.recipe)) for order in orders)


def device_latencies(path: Path) -> dict[str, float]:
    """The median of each variant's fastest configuration, in ms, from ``edge bench --json``.

    Raises:
        UsageError: the file is missing or is none.
    """
    if not path.is_file():
        raise UsageError(
            f"There is no {path}.", f"On the device: edge bench X.edge --json > {path.name}"
        )
    try:
        report = decode(path.read_bytes(), BenchReport, str(path))
    except ArtifactError as error:
        raise UsageError(
            error.message, f"On the device: edge bench X.edge --json > {path.name}"
        ) from error
    found: dict[str, float] = {}
    for measured in report.measurements:
        name = measured.configuration.variant
        if name is not None:
            time = measured.timings.p50_ms
            found[name] = min(time, found.get(name, time))
    if not found:
        raise UsageError(
            f"{path} has no measurement of an artifact's variants.",
            "Measure an artifact that has them all, on the device: edge bench X.edge --json",
        )
    return found


def check_judged(budget: Budget, on: On, scores: str | None) -> None:
    """Make sure that a limit on accuracy can be judged.

    Raises:
        UsageError: there are no real inputs, or no output holds scores.
    """
    if budget.accuracy_drop is None:
        return
    if on == "random":
        raise UsageError(
            "A budget of accuracy needs real inputs to measure it on.",
            "Give some, labelled if possible: --evaluate FOLDER|FILE.npz|MODULE:FUNCTION",
        )
    if scores is None:
        raise UsageError(
            "A budget of accuracy needs an output that holds scores, and it is not said which one "
            "does.",
            "Declare it: --preprocess SPEC.toml with a [postprocess] table: "
            "kind = 'classification', output = '…'; or leave accuracy_drop out.",
        )
