"""Convert a model: open, make, prove, pack. Nothing is written before everything is proven.

    source -> targets make variants -> each answers real inputs beside the original
           -> a verdict per variant -> golden vectors, report, artifact; or a refusal

An engine's exit code proves nothing: each file it makes is loaded and run before it is called
converted, and a variant that misses its limits never reaches an artifact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from converters.account import account, tools_of
from converters.baseline import is_reference, measure_baseline
from converters.budget import check_judged, ordered, parse_budget
from converters.evidence import Data, golden_vectors, read_evidence, scores_of
from converters.identity import Identity
from converters.original import check_answers
from converters.package import package
from converters.parity import On
from converters.proof import make, prove, with_tolerances, wrapped
from converters.recipe import Order
from converters.request import check_wrappable, checked_name, checked_version, declared
from converters.search import choose
from converters.sources import is_engine_file, open_source
from converters.sources.engine_file import EngineFileSource
from converters.steps import OnStep, Steps
from converters.targets import open_target
from converters.workshop import workshop
from edge_sdk.errors import ConversionError
from edge_sdk.files import check_writable
from edge_sdk.spec import ConversionReport, Manifest, Postprocess, Preprocess, Search, Word


class Conversion(Word, frozen=True, kw_only=True):
    """What ``convert`` answers and ``edge convert --json`` prints.

    Attributes:
        passed: whether the artifact was written; if not, ``report`` says what fell short.
        report: what was tried, and what came of it.
        seconds: wall time by step.
        search: what a budget chose from, with all latencies; None without a budget.
        artifact, digest, size, manifest: of the file written; None and 0 if none was.
    """

    passed: bool
    report: ConversionReport
    seconds: dict[str, float]
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
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    golden: str | Path | None = None,
    budget: str | None = None,
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
        calibration: how: ``minmax``, ``percentile``, ``mse``, ``entropy`` (``converters.ranges``).
        evaluate: data to be judged on; without it the calibration data, without that noise.
        preprocess, postprocess, labels: travel in the manifest.
        shapes: lengths for axes that the model leaves open, by input name.
        golden: ``"none"``, or data of which at most 16 samples ship as golden vectors; None takes
            them from the data the variants are judged on.
        budget: keep the smallest variant within it in each format (see ``converters.budget``);
            without ``recipes`` all are tried.
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
        name=checked_name(name, output),
        version=checked_version(version),
        labels=tuple(labels),
        preprocess=preprocess,
        postprocess=postprocess,
        description=description,
    )
    limits = None if budget is None else parse_budget(budget)
    orders: tuple[Order, ...] = ()
    if not is_engine_file(source):
        calibrated = calibrate is not None
        orders = ordered(limits, formats, recipes, calibrated=calibrated, method=calibration)
    check_writable(output)
    steps = Steps(on_step)
    steps.begin("open the source")
    original = open_source(source, shapes=shapes, trust_code=trust_code)
    identity = declared(original, identity)
    if isinstance(original, EngineFileSource):
        check_wrappable(original, formats, recipes, calibrate, budget)
    steps.begin("read the data")
    data = read_evidence(original, identity, calibrate, evaluate)
    if limits is not None:
        check_judged(limits, data.on, scores_of(original, identity.postprocess, data))
    with _noise_excused(data.on):
        check_answers(original, data.judged)
    vectors = golden_vectors(golden, data.judged, original, identity)
    with workshop() as folder:
        targets = {f: open_target(f, original, folder) for f in {o.format for o in orders}}
        tools = tools_of(original, targets)  # now, lest one turns out to be missing after the work
        made, refused = make(orders, targets, original, data, identity.postprocess, steps)
        built, unproven = prove(original, made, data, identity.postprocess, steps)
        if isinstance(original, EngineFileSource):
            built = [wrapped(original, data, identity.postprocess, steps)]
        refused += unproven
        search = None
        if limits is not None:
            choice = choose(limits, built, refused, steps)
            built, refused, search = choice.built, choice.refused, choice.search
        report = account(original, identity, data, tools, orders, built, refused, search)
        if not report.passed:
            steps.end()
            return Conversion(passed=False, report=report, search=search, seconds=steps.seconds)
        baseline = None
        if is_reference(data.judged, data.on):
            steps.begin("measure the baseline")
            baseline = measure_baseline(original.signature, identity, built, data.judged)
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
