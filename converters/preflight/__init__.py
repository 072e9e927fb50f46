"""Preflight: what will and what will not convert, in seconds, before the hard work.

The engines themselves are asked, not lists of ours that would age: each converts the source's
*hollow*, the same graph with its large weights taken out (a weight's value decides nothing about
whether an operation exists), and what comes out is loaded by the runtime that devices use. Where an
engine refuses, its own registry of operations tells which of the graph's it lacks, and the graph
where they stand.

One module for each family of sources; it answers forecasts of the formats that it is asked about.
What is not foreseen: how far a build's numbers will be from the original's. That is measured, by
``edge convert``, on the real one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import msgspec

from converters.original import check_answers
from converters.preflight.words import Forecast, Preflight, Problem
from converters.recipe import FORMATS
from converters.samples import random_samples
from converters.sources import Source, open_source
from converters.steps import OnStep, Steps
from converters.workshop import workshop
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.spec import Format
from edge_sdk.text import nearest

__all__ = ["Forecast", "Preflight", "Problem", "preflight"]

_MODULES = {
    "tensorflow": "converters.preflight.tensorflow",
    "torch": "converters.preflight.torch",
    "tflite": "converters.preflight.engine_file",
    "onnx": "converters.preflight.engine_file",
}
"""The module that foresees, by family of source: it ``imports(source, formats)`` the engines, and
answers one ``forecast(source, format, folder)``."""

FED = 4
"""Samples of noise that the original has to answer."""


def preflight(
    source: Any,
    *,
    formats: Sequence[str] = (),
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    trust_code: bool = False,
    on_step: OnStep | None = None,
) -> Preflight:
    """Say what will come of converting ``source``, without converting it.

    Args:
        source, shapes, trust_code: see ``converters.convert``.
        formats: targets to look at; none named means all.
        on_step: told what is going on.

    Raises:
        UsageError: the source cannot be opened, or ``shapes`` do not fit it.
        UnavailableError: an engine that is needed is not installed.
        ConversionError: the source cannot be run, or answers with no numbers, so that nothing
            could be held against it.
    """
    asked = _asked(formats)
    steps = Steps(on_step)
    steps.begin("open the source")
    original = open_source(source, shapes=shapes, trust_code=trust_code)
    module = import_module(_MODULES[original.family])
    steps.begin("run the original")
    _check_answers(original)
    steps.begin("import the engines")
    module.imports(original, asked)
    with workshop() as folder:
        found: list[Forecast] = []
        for format_ in asked:
            steps.begin(f"look at {format_}")
            since = time.perf_counter()
            forecast: Forecast = module.forecast(original, format_, folder)
            seconds = round(time.perf_counter() - since, 3)
            found.append(msgspec.structs.replace(forecast, seconds=seconds))
    steps.end()
    good = [f.format for f in found if f.verdict in ("converts", "falls back")]
    return Preflight(
        source=original.name,
        source_format=original.kind,
        signature=original.signature,
        targets=tuple(_with_remedies(f, good) for f in found),
        seconds=steps.seconds,
        passed=len(good) == len(found) if formats else bool(good),
    )


def _check_answers(original: Source) -> None:
    """As a conversion does first; noise may be no input for a model that indexes by it."""
    try:
        check_answers(original, random_samples(original.signature, FED))
    except (ConversionError, UsageError) as error:
        if not re.match(r"Running |.* cannot run the model on these inputs", error.message):
            raise


def _asked(names: Sequence[str]) -> list[Format]:
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"There is no format {name!r}.", nearest(name, FORMATS))
    return [f for f in FORMATS if f in names or not names]


def _with_remedies(forecast: Forecast, good: Sequence[Format]) -> Forecast:
    """The forecast; where no equal of an operation is known, its remedy is a target that has it."""
    other = (
        f"Take a target that has it: --formats {','.join(good)}"
        if good
        else "Say it with other operations, or end the model before it."
    )
    replace = msgspec.structs.replace
    problems = (p if p.remedy else replace(p, remedy=other) for p in forecast.problems)
    return replace(forecast, problems=tuple(problems))
