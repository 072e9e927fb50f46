"""Convert a model: open, make, prove, pack. Nothing is written before everything is proven.

    source -> targets make variants -> each answers real inputs beside the original
           -> a verdict per variant -> golden vectors, report, artifact; or a refusal

An engine's exit code proves nothing: each file it makes is loaded and run before it is called
converted, and a variant that misses its limits never reaches an artifact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from converters.baseline import is_reference, measure_baseline
from converters.identity import Identity
from converters.original import check_answers
from converters.package import Built, golden_of, package, tolerance_of
from converters.parity import On, Tally, compare, judge
from converters.recipe import AS_IS, Order, plan
from converters.samples import Samples, random_samples, read_samples
from converters.scores import class_count, is_guessing, scores_output
from converters.sources import Source, is_engine_file, open_source
from converters.sources.engine_file import EngineFileSource
from converters.steps import OnStep, Steps
from converters.targets import Emitted, Target, open_target
from converters.workshop import workshop
from edge_sdk.artifact import SUFFIX, Golden
from edge_sdk.artifact.golden import MAX_SAMPLES
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.files import check_writable
from edge_sdk.processing import Processing
from edge_sdk.spec import (
    AGENT_VERSION,
    Classification,
    ConversionReport,
    Format,
    Manifest,
    Postprocess,
    Preprocess,
    Provenance,
    VariantReport,
    Word,
)
from edge_sdk.spec.manifest import NAME_PATTERN, SEMVER_PATTERN

Data = str | Path | Mapping[str, Any]
NO_GOLDEN = "none"
AS_IS_TOLERANCE = 5e-3


class Conversion(Word, frozen=True, kw_only=True):
    """What ``convert`` answers and ``edge convert --json`` prints.

    Attributes:
        passed: whether the artifact was written; if not, ``report`` says what fell short.
        report: what was tried, and what came of it.
        seconds: wall time by step.
        artifact, digest, size, manifest: of the file written; None and 0 if none was.
    """

    passed: bool
    report: ConversionReport
    seconds: dict[str, float]
    artifact: str | None = None
    digest: str | None = None
    size: int = 0
    manifest: Manifest | None = None


def convert(
    source: Any,
    output: str | Path,
    *,
    name: str | None = None,
    version: str = "1.0.0",
    formats: Sequence[str] = (),
    recipes: Sequence[str] = (),
    calibrate: Data | None = None,
    evaluate: Data | None = None,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] = (),
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    golden: str | Path | None = None,
    description: str = "",
    trust_code: bool = False,
    on_step: OnStep | None = None,
) -> Conversion:
    """Convert ``source`` and write the artifact ``output``, if every variant is proven.

    Args:
        source: a path (``.keras``, ``.h5``, SavedModel folder, ``.tflite``, ``.onnx``) or a Keras
            model object.
        output: path of the artifact, ``.edge``; an existing one is replaced when all is proven.
        name, version: the artifact's; the name defaults to the output's.
        formats, recipes: see ``converters.recipe.plan``; a model file that an engine already runs
            is wrapped as it is.
        calibrate: data to choose quantization ranges from (see ``converters.samples``).
        evaluate: data to be judged on; without it the calibration data, without that noise.
        preprocess, postprocess, labels: travel in the manifest.
        shapes: lengths for axes that the model leaves open, by input name.
        golden: ``"none"``, or data of which at most 16 samples ship as golden vectors; None takes
            them from the data the variants are judged on.
        trust_code: allow the source to execute Python code of its own.
        on_step: told what is going on.

    Returns:
        The conversion, passed or not: a verdict is a value.

    Raises:
        UsageError: an argument or an input is wrong; nothing was written.
        UnavailableError: an extra is missing, or the disk is full; nothing was written.
        ConversionError: the source itself cannot be run, so nothing can be held against it.
    """
    output = Path(output)
    identity = Identity(
        name=_checked_name(name, output),
        version=_checked_version(version),
        labels=tuple(labels),
        preprocess=preprocess,
        postprocess=postprocess,
        description=description,
    )
    orders: tuple[Order, ...] = ()
    if not is_engine_file(source):
        orders = plan(list(formats), list(recipes), calibrated=calibrate is not None)
    check_writable(output)
    steps = Steps(on_step)
    steps.begin("open the source")
    original = open_source(source, shapes=shapes, trust_code=trust_code)
    identity = _declared(original, identity)
    if isinstance(original, EngineFileSource):
        _check_wrappable(original, formats, recipes, calibrate)
    steps.begin("read the data")
    data = _read(original, identity, calibrate, evaluate)
    with _noise_excused(data.on):
        check_answers(original, data.judged)
    vectors = _golden(golden, data.judged, original, identity)
    with workshop() as folder:
        targets = {f: open_target(f, original, folder) for f in {o.format for o in orders}}
        tools = _tools(original, targets)  # now, lest one turns out to be missing after the work
        made, refused = _make(orders, targets, data.calibration, steps)
        built, unproven = _prove(original, made, data, identity.postprocess, steps)
        if isinstance(original, EngineFileSource):
            built = [_wrapped(original, data, identity.postprocess, steps)]
        report = _report(original, identity, data, tools, orders, built, refused + unproven)
        if not report.passed:
            steps.end()
            return Conversion(passed=False, report=report, seconds=steps.seconds)
        baseline = None
        if is_reference(data.judged, data.on):
            steps.begin("measure the baseline")
            baseline = measure_baseline(original.signature, identity, built, data.judged)
        steps.begin("pack the artifact")
        if vectors is not None:
            vectors = _with_tolerances(vectors, built)
        digest, manifest = package(
            output,
            identity=identity,
            source=original,
            report=report,
            built=built,
            vectors=vectors,
            baseline=baseline,
        )
    steps.end()
    return Conversion(
        passed=True,
        report=report,
        seconds=steps.seconds,
        artifact=str(output),
        digest=digest,
        size=output.stat().st_size,
        manifest=manifest,
    )


@contextmanager
def _noise_excused(on: On) -> Iterator[None]:
    """Where the original does not run on noise, ask for real inputs before it is blamed."""
    try:
        yield
    except ConversionError as error:
        if on != "random" or not error.message.startswith("Running "):
            raise
        raise ConversionError(
            error.message,
            "It was fed random numbers, which may be no inputs for it (an index beyond a table, "
            "say). Give real ones: --evaluate DATA",
        ) from error


@dataclass(frozen=True)
class _JudgedOn:
    """The data of one conversion.

    Attributes:
        calibration: to choose ranges from.
        judged: to be compared on, and what that is.
    """

    calibration: Samples | None
    judged: Samples
    on: On


@dataclass(frozen=True)
class _Made:
    """A variant that an engine made and that is not proven yet."""

    order: Order
    emitted: Emitted
    backends: tuple[str, ...]


def _read(
    original: Source, identity: Identity, calibrate: Data | None, evaluate: Data | None
) -> _JudgedOn:
    calibration = None if calibrate is None else _samples(calibrate, original, identity)
    if evaluate is not None:
        return _JudgedOn(calibration, _samples(evaluate, original, identity), "evaluation")
    if calibration is not None:
        return _JudgedOn(calibration, calibration, "calibration")
    return _JudgedOn(None, random_samples(original.signature), "random")


def _samples(data: Data, original: Source, identity: Identity) -> Samples:
    return read_samples(
        data,
        original.signature,
        preprocess=identity.preprocess,
        postprocess=identity.postprocess,
        labels=identity.labels,
    )


def _golden(
    golden: str | Path | None, judged: Samples, original: Source, identity: Identity
) -> Golden | None:
    if golden is not None and str(golden) == NO_GOLDEN:
        return None
    samples = judged if golden is None else _samples(golden, original, identity)
    return golden_of(original, samples.at(samples.pick(MAX_SAMPLES)))


def _make(
    orders: Sequence[Order],
    targets: Mapping[Format, Target],
    calibration: Samples | None,
    steps: Steps,
) -> tuple[list[_Made], list[VariantReport]]:
    """Let the engines work; what they refuse is reported, and the rest goes on."""
    made, refused = [], []
    for order in orders:
        steps.begin(f"make {order.id}")
        target = targets[order.format]
        try:
            emitted = target.emit(order.recipe, calibration)
        except ConversionError as error:
            refused.append(_refusal(order, str(error)))
        else:
            made.append(_Made(order, emitted, target.backends))
    return made, refused


def _prove(
    original: Source,
    made: Sequence[_Made],
    data: _JudgedOn,
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
        _scores(original, postprocess, data),
        lambda done: steps.progress(done, total),
    )
    built, refused = [], []
    for m in made:
        order, runner = m.order, m.emitted.runner
        if order.id in failures:
            refused.append(_refusal(order, failures[order.id]))
            continue
        agreement = tallies[order.id].agreement(data.on, runner)
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
        )
        if shortfalls := judge(tallies[order.id], agreement, order.recipe):
            refused.append(
                VariantReport(
                    id=order.id,
                    format=order.format,
                    recipe=order.recipe.name,
                    status="refused",
                    size=variant.size,
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


def _scores(original: Source, postprocess: Postprocess | None, data: _JudgedOn) -> str | None:
    labelled = data.judged.labels is not None
    return scores_output(original.signature, postprocess, labelled=labelled)


def _wrapped(
    original: EngineFileSource, data: _JudgedOn, postprocess: Postprocess | None, steps: Steps
) -> Built:
    """The source as its own only variant; on labelled data its accuracy is measured."""
    agreement, labels = None, data.judged.labels
    if labels is not None:
        tally, total = Tally(_scores(original, postprocess, data)), len(data.judged)
        steps.begin("measure the accuracy", total)
        for start, inputs in data.judged.batches():
            outputs = original.run(inputs)
            count = len(next(iter(inputs.values())))
            tally.add(outputs, outputs, labels[start : start + count])
            steps.progress(start + count, total)
        agreement = tally.agreement(data.on, original)
    return Built(
        id=f"{original.kind}-{AS_IS}",
        format=original.kind,
        recipe=AS_IS,
        file=original.path,
        signature=original.signature,
        backends=(original.backend,),
        agreement=agreement,
        runner=original,
        floor=AS_IS_TOLERANCE,
    )


def _with_tolerances(vectors: Golden, built: Sequence[Built]) -> Golden:
    return replace(
        vectors, tolerance={b.id: tolerance_of(vectors, b.runner, b.floor) for b in built}
    )


def _tools(original: Source, targets: Mapping[Format, Target]) -> dict[str, str]:
    """Versions of everything that shapes the bytes."""
    tools = {"edgeloop": AGENT_VERSION, **original.tools()}
    for target in targets.values():
        tools |= target.tools()
    return dict(sorted(tools.items()))


def _report(
    original: Source,
    identity: Identity,
    data: _JudgedOn,
    tools: dict[str, str],
    orders: Sequence[Order],
    built: Sequence[Built],
    refused: Sequence[VariantReport],
) -> ConversionReport:
    places = [order.id for order in orders]
    variants = [*(b.report() for b in built), *refused]
    if places:
        variants.sort(key=lambda v: places.index(v.id))
    return ConversionReport(
        name=identity.name,
        version=identity.version,
        signature=original.signature,
        provenance=Provenance(
            source=original.name,
            source_format=original.kind,
            source_sha256=original.sha256,
            calibration_sha256=data.calibration.sha256 if data.calibration else None,
            evaluation_sha256=data.judged.sha256 if data.on == "evaluation" else None,
            tools=tools,
        ),
        source_size=original.size,
        variants=tuple(variants),
        warnings=tuple(_warnings(original, identity, data, variants)),
    )


def _warnings(
    original: Source, identity: Identity, data: _JudgedOn, variants: Sequence[VariantReport]
) -> Iterator[str]:
    """What the numbers do not say by themselves about the labels they were measured with."""
    if folders := data.judged.folders:
        order = ", ".join(f"{at} {name}" for at, name in enumerate(folders))
        yield (
            f"No labels were given: classes are the folders of {data.judged.source} in the order "
            f"of their names ({order}). If the model's order is another: --labels FILE"
        )
    found = (v.agreement.source_accuracy for v in variants if v.agreement)
    accuracy = next((share for share in found if share is not None), None)
    scores = _scores(original, identity.postprocess, data)
    classes = class_count(original.signature, scores, identity.labels)
    if accuracy is not None and classes and is_guessing(accuracy, len(data.judged), classes):
        yield (
            f"The original is right on {accuracy:.1%} of {data.judged.source}, no better than "
            f"guessing among {classes} classes: are its labels in the order of the model's outputs?"
        )


def _checked_name(name: str | None, output: Path) -> str:
    if output.suffix != SUFFIX:
        raise UsageError(
            f"{output} is not a name for an artifact.",
            f"Call it {output.with_suffix(SUFFIX) if output.stem.strip('.') else 'model.edge'}.",
        )
    if name is None:
        # model-1.2.0.edge is model, version 1.2.0
        name = re.sub(r"-\d+\.\d+\.\d+.*$", "", output.stem).lower()
    if not re.match(NAME_PATTERN, name):
        raise UsageError(
            f"{name!r} is not a name for an artifact.",
            "Use small letters, digits, '.', '_' and '-', 63 at most: --name flowers",
        )
    return name


def _checked_version(version: str) -> str:
    if not re.match(SEMVER_PATTERN, version):
        raise UsageError(f"{version!r} is not a version.", "Write it as 1.2.0: --version 1.2.0")
    return version


def _declared(original: Source, identity: Identity) -> Identity:
    """The identity, with the postprocessing that labels imply where only one output has scores.

    Raises:
        UsageError: processing or labels do not fit the model; better now than after the hard work.
    """
    if identity.labels and identity.postprocess is None:
        scores = scores_output(original.signature, None)
        declared = Classification(output=scores) if scores else None
        identity = replace(identity, postprocess=declared)
    Processing(
        signature=original.signature,
        engine_signature=original.signature,
        preprocess=identity.preprocess,
        postprocess=identity.postprocess,
        labels=identity.labels,
    )
    return identity


def _check_wrappable(
    original: EngineFileSource,
    formats: Sequence[str],
    recipes: Sequence[str],
    calibrate: Data | None,
) -> None:
    if [f for f in formats if f != original.kind] or [r for r in recipes if r != AS_IS]:
        raise UsageError(
            f"{original.name} is wrapped as it is, not converted to other formats or recipes.",
            "Leave out --formats and --recipe, or convert the model it was made from.",
        )
    if calibrate is not None:
        raise UsageError(
            f"{original.name} is wrapped as it is: there is nothing to calibrate.",
            "Leave out --calibrate; --evaluate DATA measures it on data of yours.",
        )
