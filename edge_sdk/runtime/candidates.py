"""The ways in which one model can be run here: engine by engine, delegate by delegate.

A way that holds Python's lock while it computes stops every other thread of the program for as long
as an inference takes. So an engine that does so is a candidate only where it is asked for by name,
or where no other runs the model: its kernels are the very ones that another engine runs without the
lock. A graphics processor is tried in spite of it, under a handicap (``race``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edge_sdk.artifact import Golden
from edge_sdk.backends import MODULES, backend, libraries, onnx_plugins
from edge_sdk.backends.base import DelegateRequest
from edge_sdk.backends.delegates import TFLITE_LIBRARIES
from edge_sdk.backends.weight_cache import remembered_digest
from edge_sdk.errors import UnavailableError
from edge_sdk.machine.cores import usable_cores
from edge_sdk.runtime.choosing import choose, default_threads
from edge_sdk.runtime.model_file import bare_format, is_artifact, open_artifact
from edge_sdk.runtime.selfcheck import unproven
from edge_sdk.runtime.trial import processor
from edge_sdk.spec import Format
from edge_sdk.spec.bench import Configuration, Skipped
from edge_sdk.spec.choice import runs
from edge_sdk.spec.contents import GOLDEN, variant_files

_DISTRIBUTIONS = (
    *("ai-edge-litert", "tflite-runtime", "tensorflow", "tensorflow-cpu", "onnxruntime"),
    *("onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-qnn", "onnxruntime-ep-webgpu"),
    *("onnxruntime-ep-openvino", "coremltools"),
)


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

    def engines(self, only: str | None) -> tuple[list[str], list[str]]:
        """Those here that run it, and those that would but hold Python's lock meanwhile.

        Of the latter there are none where they are the only ones, or asked for. TensorFlow's, the
        last resort, is one only where there is no other.
        """
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
        free = [name for name in found if not backend(name).holds_lock(())]
        return (free, [name for name in found if name not in free]) if free else (found, [])

    def about(self, memory: Path) -> dict[str, str]:
        """What decides which way is fastest: the model and the machine.

        Args:
            memory: where the digest of a bare model is remembered.
        """
        digests = self._digests
        if not digests:
            digests = {"model": remembered_digest(memory, self.path)}
        return {
            **{f"digest of {name}": digest for name, digest in digests.items()},
            "processor": processor(),
            "cores": str(usable_cores()),
            "engines": ", ".join(_installed()),
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
    for name in model.engines(backend_name)[0]:
        ways: list[tuple[tuple[str, ...], int]] = [((), count) for count in counts]
        ways += [((delegate,), most) for delegate in _delegates(name)]
        found += [
            Configuration(backend=name, threads=count, variant=model.variant, delegates=delegates)
            for delegates, count in ways
        ]
    return tuple(found)


def left_out(model: Model, backend_name: str | None = None) -> tuple[Skipped, ...]:
    """The engines that run a model and are no candidates, and why. Raises as ``candidates``."""
    reason = "it holds Python's lock while it computes; to have it measured: --backend "
    return tuple(
        Skipped(variant=name, reason=reason + name) for name in model.engines(backend_name)[1]
    )


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


def _installed() -> Iterator[str]:
    """The engines that are here, by distribution and version, without importing one."""
    for name in _DISTRIBUTIONS:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
