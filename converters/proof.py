"""Making and proving: engines make the variants, which then answer beside the original.

An engine's exit code proves nothing: each file it makes is loaded and run before it is called
converted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from converters.evidence import Evidence, scores_of
from converters.identity import Identity
from converters.mixed import JUDGED, Judge, few, settle
from converters.package import Built, tolerance_of
from converters.parity import Tally, compare, judge
from converters.recipe import AS_IS, DESCRIBED, MIXED, Order
from converters.sources import Source
from converters.sources.engine_file import EngineFileSource
from converters.steps import Steps
from converters.targets import Emitted, Target
from converters.tflite.stamp import stamped
from edge_sdk.artifact import Golden
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Format, Postprocess, VariantReport

AS_IS_TOLERANCE = 5e-3


@dataclass(frozen=True)
class Made:
    """A variant that an engine made and that is not proven yet."""

    order: Order
    emitted: Emitted
    backends: tuple[str, ...]


def make(
    original: Source,
    identity: Identity,
    orders: Sequence[Order],
    targets: Mapping[Format, Target],
    data: Evidence,
    steps: Steps,
) -> tuple[list[Made], list[VariantReport]]:
    """Let the engines work; what they refuse is reported, and the rest goes on."""
    made, refused = [], []
    for wanted in orders:
        order, target = wanted, targets[wanted.format]
        steps.begin(f"make {order.id}")
        try:
            if order.recipe.name == MIXED and data.calibration is not None:
                wider = settle(
                    target,
                    order.recipe,
                    data.calibration,
                    judge_of(original, data, identity.postprocess),
                    partial(_begin_attempt, steps, order.id),
                )
                order, emitted = replace(order, recipe=wider.recipe), wider.emitted
            else:
                emitted = target.emit(order.recipe, data.calibration)
            emitted = stamped(emitted, identity, original.signature)
        except ConversionError as error:
            refused.append(_refusal(order, str(error)))
        else:
            made.append(Made(order, emitted, target.backends))
    return made, refused


def _begin_attempt(steps: Steps, name: str, wide: int) -> None:
    steps.begin(f"make {name} with {wide} layers wide")


def judge_of(original: Source, data: Evidence, postprocess: Postprocess | None) -> Judge:
    """Who judges attempts: some of the samples that variants will be judged by."""
    judged = few(data.judged, JUDGED)
    return Judge(original, judged, data.on, scores_of(original, postprocess, data))


def prove(
    original: Source,
    made: Sequence[Made],
    data: Evidence,
    postprocess: Postprocess | None,
    steps: Steps,
) -> tuple[list[Built], list[VariantReport]]:
    """Run every variant beside the original and judge it."""
    runners = {m.order.id: m.emitted.runner for m in made if not m.emitted.runner.unchecked_ops}
    total = len(data.judged)
    if runners:
        steps.begin("compare with the original", total)
    tallies, failures = compare(
        original,
        runners,
        data.judged,
        scores_of(original, postprocess, data),
        lambda done: steps.progress(done, total),
    )
    built, refused = [], []
    for m in made:
        order, runner = m.order, m.emitted.runner
        if order.id in failures:
            refused.append(_refusal(order, failures[order.id]))
            continue
        # One that only could be looked at has been compared on nothing.
        tally = tallies.get(order.id, Tally(None))
        agreement = tally.agreement(data.on, runner)
        variant = Built(
            id=order.id,
            format=order.format,
            recipe=order.recipe.name,
            file=m.emitted.path,
            signature=m.emitted.signature,
            backends=m.backends,
            agreement=agreement,
            runner=runner,
            floor=order.recipe.tolerance,
            wide=order.recipe.wide,
        )
        if shortfalls := judge(tally, agreement, order.recipe):
            refused.append(
                VariantReport(
                    id=order.id,
                    format=order.format,
                    recipe=order.recipe.name,
                    status="refused",
                    size=variant.size,
                    wide=order.recipe.wide,
                    reason="; ".join(map(str, shortfalls)),
                    limits=order.recipe.limits,
                    shortfalls=shortfalls,
                    agreement=agreement,
                )
            )
        else:
            built.append(variant)
    return built, refused


def _refusal(order: Order, reason: str) -> VariantReport:
    return VariantReport(
        id=order.id,
        format=order.format,
        recipe=order.recipe.name,
        status="refused",
        reason=reason,
        limits=order.recipe.limits,
    )


def wrapped(
    original: EngineFileSource,
    file: EngineFileSource,
    data: Evidence,
    postprocess: Postprocess | None,
    steps: Steps,
) -> Built:
    """The source, or its twin with metadata, as the only variant; labels measure its accuracy."""
    agreement, labels = None, data.judged.labels
    if labels is not None:
        tally, total = Tally(scores_of(original, postprocess, data)), len(data.judged)
        steps.begin("measure the accuracy", total)
        for start, inputs in data.judged.batches():
            outputs = original.run(inputs)
            count = len(next(iter(inputs.values())))
            tally.add(outputs, outputs, labels[start : start + count])
            steps.progress(start + count, total)
        agreement = tally.agreement(data.on, original)
    recipe = AS_IS if file is original else DESCRIBED
    return Built(
        id=f"{original.kind}-{recipe}",
        format=original.kind,
        recipe=recipe,
        file=file.path,
        signature=original.signature,
        backends=(original.backend,),
        agreement=agreement,
        runner=file,
        floor=AS_IS_TOLERANCE,
    )


def with_tolerances(vectors: Golden, built: Sequence[Built]) -> Golden:
    """The golden vectors with what each variant is allowed."""
    return replace(
        vectors, tolerance={b.id: tolerance_of(vectors, b.runner, b.floor) for b in built}
    )
