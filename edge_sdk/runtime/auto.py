"""Auto: which engine, delegates and number of threads run a model fastest here, found out once.

Nobody knows beforehand: a delegate that is fast on one net hands the next one back and forth, two
threads are slower than one on a machine that has other work, and plain kernels win on nets of three
operations. So the ways there are (``candidates``) are tried. Each is loaded, fed, held against the
golden vectors, or against the first one's answers where a model brings none, and called a few
times; what is wrong, or far slower than the best so far, is closed at once, so that only few are in
memory together. The others take turns until the time is up (``bench``).

The fastest is the one with the least median; of those that are as good as equal to it, within
``EQUAL``, the first of the list, which has the plainest engine and the fewest threads. The choice
is kept (``kept``) for this very model, processor, number of cores and set of engines; ``edge bench
--delegate auto`` shows the table and chooses anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import msgspec
import numpy as np

from edge_sdk.artifact import Golden
from edge_sdk.backends import MODULES, backend, libraries, onnx_plugins
from edge_sdk.backends.base import Array, DelegateRequest
from edge_sdk.backends.delegates import TFLITE_LIBRARIES
from edge_sdk.backends.notices import overheard
from edge_sdk.backends.weight_cache import remembered_digest
from edge_sdk.errors import EdgeError, UnavailableError
from edge_sdk.machine.surroundings import Surroundings
from edge_sdk.runtime.bench import Clock, Subject, fed, measurements, take_turns
from edge_sdk.runtime.choosing import choose, default_threads
from edge_sdk.runtime.kept import Kept
from edge_sdk.runtime.model_file import bare_format, is_artifact, open_artifact
from edge_sdk.runtime.selfcheck import judge, unproven
from edge_sdk.runtime.trial import OWN, processor
from edge_sdk.spec import Format, TensorSpec, Word
from edge_sdk.spec.bench import Configuration, Measurement, Skipped
from edge_sdk.spec.choice import runs
from edge_sdk.spec.contents import GOLDEN, variant_files

BUDGET_SECONDS = 2.0
"""For the turns; loading and looking at each comes on top."""
EQUAL = 1.02
HOPELESS = 3.0
"""So many times the best so far, and a candidate is not measured any further."""
LOOKS = 5
ALIKE = 0.05
"""How far, as a share of its span, an output may be from the first candidate's."""

_DISTRIBUTIONS = (
    *("ai-edge-litert", "tflite-runtime", "tensorflow", "tensorflow-cpu", "onnxruntime"),
    *("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-qnn", "onnxruntime-ep-webgpu"),
    *("onnxruntime-ep-openvino", "coremltools"),
)


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
    kept = Kept(memory / "auto", Choice)
    limits = Limits(backend=backend, threads=threads, shapes=dict(shapes or {}))
    if (known := kept.find(model.about(memory, limits))) is not None:
        return known.fastest
    options = candidates(model, backend, threads)
    measured, _, _ = race(model, options, seconds=BUDGET_SECONDS, shapes=limits.shapes)
    return keep(model, memory, measured, limits) if measured else options[0]


def keep(
    model: Model, memory: Path, measured: Sequence[Measurement], limits: Limits
) -> Configuration:
    """Choose, and remember the choice."""
    best = min(each.timings.p50_ms for each in measured)
    choice = next(each for each in measured if each.timings.p50_ms <= EQUAL * best)
    word = Choice(
        fastest=choice.configuration,
        p50_ms={str(each.configuration): each.timings.p50_ms for each in measured},
    )
    Kept(memory / "auto", Choice).keep(model.about(memory, limits), word)
    return choice.configuration


class Model:
    """What is to be run: a bare model, or one variant of an artifact.

    Attributes:
        variant: its id; None for a bare model.
        golden: vectors that say what is right; None if there are none for it.
    """

    def __init__(self, path: Path, variant: str | None) -> None:
        """Look at it. Raises as ``edge_sdk.load`` does for what is no model."""
        self.path = path
        self.variant: str | None = None
        self.golden: Golden | None = None
        self._allowed: Callable[[str], bool] = lambda _: True
        self._digests: dict[str, str] = {}
        if not is_artifact(path):
            self.format: Format = bare_format(path)
            return
        with open_artifact(path) as artifact:
            chosen, _ = choose(artifact, variant)
            self.variant, self.format = chosen.id, chosen.format
            self._allowed = lambda engine: runs(engine, chosen)
            names = variant_files(artifact.manifest, chosen)
            files = {name: entry.sha256 for name, entry in artifact.manifest.files.items()}
            self._digests = {name: files[name] for name in (*names, GOLDEN) if name in files}
            golden = artifact.golden()
            if (
                golden is not None
                and not unproven(artifact.manifest.signature, golden)
                and chosen.id in golden.tolerance
            ):
                self.golden = golden

    def engines(self, only: str | None) -> list[str]:
        """Those here that run it; TensorFlow's, the last resort, only where there is no other."""
        found: list[str] = []
        for name in MODULES if only is None else (only,):
            engine = backend(name)
            if self.format not in engine.formats or not self._allowed(name):
                continue
            try:
                engine.version()
            except UnavailableError:
                continue
            if name == "tensorflow" and found:
                continue
            found.append(name)
        if not found:
            raise UnavailableError(f"No engine here runs {self.path}.", "edge doctor")
        return found

    def about(self, memory: Path, limits: Limits) -> dict[str, str]:
        """Everything that the choice depends on."""
        digests = self._digests
        if not digests:
            digests = {"model": remembered_digest(memory, self.path)}
        return {
            **{f"digest of {name}": digest for name, digest in digests.items()},
            "processor": processor(),
            "cores": str(len(os.sched_getaffinity(0))),
            "engines": ", ".join(_installed()),
            "backend": limits.backend or "any",
            "threads": str(limits.threads or "any"),
            "shapes": str(sorted(limits.shapes.items())),
        }


def candidates(
    model: Model, backend_name: str | None = None, threads: int | None = None
) -> tuple[Configuration, ...]:
    """The ways to run a model here, plainest first.

    Raises:
        UsageError: there is no such backend.
        UnavailableError: no engine here runs it.
    """
    most = threads or default_threads()
    counts = [threads] if threads else [n for n in (1, 2, 4) if n < most] + [most]
    found: list[Configuration] = []
    for name in model.engines(backend_name):
        ways: list[tuple[tuple[str, ...], int]] = [((), count) for count in counts]
        ways += [((delegate,), most) for delegate in _delegates(name)]
        found += [
            Configuration(backend=name, threads=count, variant=model.variant, delegates=delegates)
            for delegates, count in ways
        ]
    return tuple(found)


def _delegates(name: str) -> Iterator[str]:
    """What may be tried on an engine besides what it does by itself."""
    engine = backend(name)
    if engine.formats == ("tflite",):
        yield "cpu"
        if name == "litert":
            yield "gpu"
        for delegate in TFLITE_LIBRARIES:
            if delegate != "gpu" and name != "litert-compiled" and _has_library(delegate):
                yield delegate
        return
    here = engine.delegates()
    yield from (delegate for delegate in here if delegate != "cpu")
    if name == "onnxruntime":
        for delegate in onnx_plugins.PACKAGES:
            if delegate not in here and not onnx_plugins.obstacle(delegate):
                yield delegate


def _has_library(delegate: str) -> bool:
    try:
        libraries.find(DelegateRequest(name=delegate))
    except UnavailableError:
        return False
    return True


def race(
    model: Model,
    configurations: Sequence[Configuration],
    *,
    seconds: float,
    shapes: Mapping[str, tuple[int, ...]],
    clock: Clock = perf_counter_ns,
    progress: Callable[[str], Any] = lambda _: None,
    around: Surroundings | None = None,
) -> tuple[tuple[Measurement, ...], tuple[Skipped, ...], tuple[TensorSpec, ...]]:
    """Measure those that are right and not hopeless.

    Args:
        model: what is run.
        configurations: at least one.
        seconds: for the turns.
        shapes: see ``random_inputs``; a golden input needs none.
        clock: what tells the time.
        progress: called with a line for people as each step begins.
        around: who watches the machine meanwhile; None for nobody.

    Returns:
        The measurements in the order of the configurations; who fell out, and why; what was fed.
    """
    subjects: list[Subject] = []
    out: list[Skipped] = []
    reference: dict[str, Array] | None = None
    best = float("inf")
    try:
        for configuration in configurations:
            progress(f"trying {configuration} …")
            subject = None
            try:
                with overheard():  # what an engine complains of, it raises as well
                    subject = Subject(model.path, configuration, clock)
                    subject.feed(shapes, _row(model.golden))
                    reason = _idle(subject) or _wrong(model, subject, reference)
                    reference = reference or subject.session.run(subject.inputs)
                if not reason:
                    took = subject.look(LOOKS)
                    best = min(best, took)
                    if took > HOPELESS * best:
                        reason = f"{took / best:.1f} times as slow as the best"
            except EdgeError as error:
                reason = error.message.removeprefix(f"{model.path}: ")
            if reason:
                out.append(Skipped(variant=str(configuration), reason=reason))
                if subject is not None:
                    subject.session.close()
            else:
                assert subject is not None
                subjects.append(subject)
        for slow in [each for each in subjects if each.looked > HOPELESS * best]:
            reason = f"{slow.looked / best:.1f} times as slow as the best"
            out.append(Skipped(variant=str(slow.configuration), reason=reason))
            slow.session.close()
            subjects.remove(slow)
        if subjects:
            progress(f"measuring {len(subjects)} configurations for {seconds:g} s …")
            take_turns(subjects, seconds, clock, around)
        inputs = fed(subjects[0]) if subjects else ()
        return measurements(subjects, around), tuple(out), inputs
    finally:
        for subject in subjects:
            subject.session.close()


def _row(golden: Golden | None) -> Mapping[str, Array] | None:
    """A real input, if there is one."""
    if golden is None:
        return None
    return {name: np.ascontiguousarray(array[0]) for name, array in golden.inputs.items()}


def _idle(subject: Subject) -> str:
    """Why the delegate that was asked for does nothing; empty if it does something."""
    wanted = next(iter(subject.configuration.delegates), None)
    placement = subject.session.placement if wanted not in (None, *OWN) else None
    if placement is None or wanted in placement.actual:
        return ""
    return next((a.reason for a in placement.refused if a.delegate == wanted), "it took nothing")


def _wrong(model: Model, subject: Subject, reference: Mapping[str, Array] | None) -> str:
    """What is wrong with a candidate's answers; empty if nothing is."""
    if model.golden is not None:
        found = judge(subject.session, model.golden).reason
        return f"it answers wrongly on the golden vectors: {found}" if found else ""
    if reference is None:
        return ""
    outputs = subject.session.run(subject.inputs)
    for name, expected in reference.items():
        gap, span = _gap(outputs[name], expected)
        if not gap <= ALIKE * span:
            return f"{name} differs by {gap:.3g} from what the engine's own kernels answer"
    return ""


def _gap(found: Array, expected: Array) -> tuple[float, float]:
    """The greatest difference of two outputs, and the span of the second; none for text."""
    if found.dtype.kind not in "fiub" or not expected.size:
        return (0.0 if np.array_equal(found, expected) else np.inf), 0.0
    if found.shape != expected.shape:
        return np.inf, 0.0
    one, other = found.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(other).all():
        return (0.0 if np.array_equal(one, other, equal_nan=True) else np.inf), 0.0
    span = float(max(np.ptp(other), np.abs(other).max()))
    return float(np.max(np.abs(one - other))), span


def _installed() -> Iterator[str]:
    """The engines that are here, by distribution and version, without importing one."""
    for name in _DISTRIBUTIONS:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
