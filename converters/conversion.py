"""Convert a model: open, make, prove, pack. Nothing is written before everything is proven.

    source -> targets make variants -> each answers real inputs beside the original
           -> a verdict per variant -> golden vectors, report, artifact; or a refusal

An engine's exit code proves nothing: each file it makes is loaded and run before it is called
converted, and a variant that misses its limits never reaches an artifact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from converters.account import account, tools_of
from converters.baseline import is_reference, measure_baseline
from converters.budget import check_judged, ordered, parse_budget
from converters.cache import CachedTarget, VariantCache
from converters.engines import give_back_memory
from converters.evidence import Data, Evidence, golden_vectors, read_evidence, scores_of
from converters.identity import Identity
from converters.input_check import check_input
from converters.latency import timed
from converters.layer_noise import layer_noise
from converters.original import check_answers
from converters.package import Built, package
from converters.parity import On
from converters.proof import make, prove, with_tolerances, wrapped
from converters.recipe import Order
from converters.request import check_wrappable, checked_name, checked_version, declared, is_wrapped
from converters.search import choose
from converters.sources import Source, open_source
from converters.sources.engine_file import EngineFileSource
from converters.steps import OnStep, Steps
from converters.targets import Target, open_target
from converters.tflite.stamp import check_describable, described
from converters.workshop import workshop
from edge_sdk.artifact import Golden
from edge_sdk.errors import ConversionError
from edge_sdk.files import check_writable
from edge_sdk.spec import (
    ConversionReport,
    Format,
    InputLimits,
    Manifest,
    Postprocess,
    Preprocess,
    Search,
    VariantReport,
    Word,
)
from edge_sdk.spec.sketch import Baseline


class Conversion(Word, frozen=True, kw_only=True):
    """What ``convert`` answers and ``edge convert --json`` prints.

    Attributes:
        passed: whether the artifact was written; if not, ``report`` says what fell short.
        report: what was tried, and what came of it.
        seconds: wall time by step.
        cached: ids of the variants that came out of the cache, and were proven as all others.
        search: what a budget chose from, with all latencies; None without a budget.
        artifact, digest, size, manifest: of the file written; None and 0 if none was.
    """

    passed: bool
    report: ConversionReport
    seconds: dict[str, float]
    cached: tuple[str, ...] = ()
    artifact: str | None = None
    digest: str | None = None
    size: int = 0
    manifest: Manifest | None = None
    search: Search | None = None


def convert(
    source: Any,
    output: str | Path,
    *,
    name: str | None = None,
    version: str = "1.0.0",
    formats: Sequence[str] = (),
    recipes: Sequence[str] = (),
    calibrate: Data | None = None,
    calibration: str = "minmax",
    evaluate: Data | None = None,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] = (),
    guard: InputLimits | None = None,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    golden: str | Path | None = None,
    budget: str | None = None,
    description: str = "",
    metadata: bool = False,
    as_declared: bool = False,
    trust_code: bool = False,
    cache: bool = True,
    latency: bool = True,
    on_step: OnStep | None = None,
) -> Conversion:
    """Convert ``source`` and write the artifact ``output``, if every variant is proven.

    Args:
        source: a path (``.keras``, ``.h5``, SavedModel folder, ``.pt2``, TorchScript, ``.tflite``,
            ``.onnx``), ``module:function``, or a model: Keras's, PyTorch's, or a pair of PyTorch's
            and example inputs.
        output: path of the artifact, ``.edge``; an existing one is replaced when all is proven.
        name, version: the artifact's; the name defaults to the output's.
        formats, recipes: see ``converters.recipe.plan``; without either, a model file that an
            engine already runs is wrapped as it is.
        calibrate: data to choose quantization ranges from (see ``converters.samples``).
        calibration: how: ``minmax``, ``percentile``, ``mse``, ``entropy`` (``converters.ranges``).
        evaluate: data to be judged on; without it the calibration data, without that noise.
        preprocess, postprocess, labels: travel in the manifest.
        guard: what an input must keep to be worth asking about; travels there too.
        shapes: lengths for axes that the model leaves open, by input name; all of them for a
            PyTorch module without example inputs.
        golden: ``"none"``, or data of which at most 16 samples ship as golden vectors; None takes
            some of those that the variants are judged on, 256 kB or two samples at most.
        budget: keep the smallest variant within it in each format (see ``converters.budget``);
            without ``recipes`` all are tried.
        metadata: add TFLite metadata to a ``.tflite`` that is wrapped; those that are made here
            have it anyway.
        as_declared: keep ``preprocess`` and the data even where the original answers better when it
            is fed otherwise (see ``converters.input_check``).
        trust_code: allow the source to execute Python code of its own.
        cache: take variants that were made before, of the same source file in the same way, out of
            the cache (see ``converters.cache``), and keep those that are made.
        latency: measure how long one call of each variant takes here, for the report and the
            budget; without it the same conversion gives the same bytes, not only the same digest.
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
        name=checked_name(name, output),
        version=checked_version(version),
        labels=tuple(labels),
        preprocess=preprocess,
        postprocess=postprocess,
        description=description,
        guard=guard,
    )
    limits = None if budget is None else parse_budget(budget, timed=latency)
    orders: tuple[Order, ...] = ()
    wrap = is_wrapped(source, formats, recipes, budget)
    if not wrap:
        calibrated = calibrate is not None
        orders = ordered(limits, formats, recipes, calibrated=calibrated, method=calibration)
    check_writable(output)
    steps = Steps(on_step)
    steps.begin("open the source")
    original = open_source(source, shapes=shapes, trust_code=trust_code, wrap=wrap)
    identity = declared(original, identity)
    if wrap:
        check_wrappable(original, calibrate)
    if metadata:
        check_describable(original, identity)
    steps.begin("read the data")
    data = read_evidence(original, identity, calibrate, evaluate)
    scores = scores_of(original, identity.postprocess, data)
    if limits is not None:
        check_judged(limits, data.on, scores)
    with _noise_excused(data.on):
        check_answers(original, data.judged)
    steps.begin("check how the model is fed")
    fed = check_input(original, data.judged, data.on, identity.preprocess, scores)
    if fed.verdict == "contradicted" and not as_declared:
        steps.end()
        report = account(original, identity, data, fed, tools_of(original, {}))
        return Conversion(passed=False, report=report, seconds=steps.seconds)
    vectors = _recorded(golden, original, identity, data, steps)
    kept = VariantCache() if cache and _is_on_disk(source) else None
    with workshop() as folder:
        targets = _targets(original, orders, folder, kept)
        tools = tools_of(original, targets)  # now, lest one turns out to be missing after the work
        built, refused = _candidates(
            *(original, identity, orders, targets, data, steps),
            describing=folder if metadata else None,
            latency=latency,
        )
        search = None
        if limits is not None:
            built, refused, search = choose(limits, built, refused)
        cached = tuple(kept.found) if kept is not None else ()
        report = account(
            original,
            identity,
            data,
            fed,
            tools,
            orders=orders,
            built=built,
            refused=refused,
            search=search,
            vectors=vectors,
        )
        if not report.passed:
            steps.end()
            return Conversion(
                passed=False, report=report, search=search, seconds=steps.seconds, cached=cached
            )
        baseline = _baseline(original, identity, built, data, steps)
        steps.begin("pack the artifact")
        if vectors is not None:
            vectors = with_tolerances(vectors, built)
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
        search=search,
        seconds=steps.seconds,
        cached=cached,
        artifact=str(output),
        digest=digest,
        size=output.stat().st_size,
        manifest=manifest,
    )


def _recorded(
    golden: str | Path | None, original: Source, identity: Identity, data: Evidence, steps: Steps
) -> Golden | None:
    """The golden vectors; after them the original rests until it is compared with."""
    steps.begin("record the golden vectors")
    vectors = golden_vectors(golden, data.judged, original, identity)
    give_back_memory()
    return vectors


def _candidates(
    original: Source,
    identity: Identity,
    orders: Sequence[Order],
    targets: Mapping[Format, Target],
    data: Evidence,
    steps: Steps,
    *,
    describing: Path | None,
    latency: bool,
) -> tuple[list[Built], list[VariantReport]]:
    """What was made and proven, and what was refused; of a wrapped file, the file.

    Args:
        describing: where a wrapped file gets metadata; None leaves it as it is.
        latency: whether to measure it.
    """
    if isinstance(original, EngineFileSource):
        file = described(original, identity, describing, data.judged) if describing else original
        built = [wrapped(original, file, data, identity.postprocess, steps)]
        refused: list[VariantReport] = []
    else:
        made, refused = make(original, identity, orders, targets, data, steps)
        built, unproven = prove(original, made, data, identity.postprocess, steps)
        noise = layer_noise(original, made, data.judged, steps)
        built = [replace(b, noise=noise.get(b.id)) for b in built]
        refused += [structs.replace(r, noise=noise.get(r.id)) for r in unproven]
    return (timed(original, built, data.judged, steps) if latency else built), refused


def _baseline(
    original: Source, identity: Identity, built: Sequence[Built], data: Evidence, steps: Steps
) -> Baseline | None:
    """The reference for drift; None where the data says nothing of what devices will see."""
    if not is_reference(data.judged, data.on):
        return None
    steps.begin("measure the baseline")
    return measure_baseline(original.signature, identity, built, data.judged)


def _is_on_disk(source: Any) -> bool:
    """Whether all that the source computes is in a file, or in a folder of files."""
    return isinstance(source, (str, Path)) and Path(source).exists()


def _targets(
    original: Source, orders: Sequence[Order], folder: Path, kept: VariantCache | None
) -> dict[Format, Target]:
    """A target for each format that was asked for, which looks into the cache first."""
    targets = {f: open_target(f, original, folder) for f in {o.format for o in orders}}
    if kept is None:
        return targets
    return {f: CachedTarget(t, kept, original, folder) for f, t in targets.items()}


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
