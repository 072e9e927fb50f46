"""Loading: from a path to a session, by way of the variant and the engine that fit this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_sdk.artifact import MANIFEST, SUFFIX, Artifact, ArtifactFolder
from edge_sdk.backends import MODULES, Backend, backend, backend_for
from edge_sdk.backends.delegates import read_requests
from edge_sdk.errors import ArtifactError, EdgeError, UnavailableError, UsageError
from edge_sdk.processing import Processing
from edge_sdk.runtime.session import Session
from edge_sdk.spec import Format, Placement, Postprocess, Preprocess, Signature, TensorSpec, Variant
from edge_sdk.spec.choice import by_preference, runs

BARE_FORMATS: dict[str, Format] = {".tflite": "tflite", ".onnx": "onnx"}
MAX_DEFAULT_THREADS = 4

_ZIP_HEADER = b"PK\x03\x04"
_ZIP_NAME_AT = 30


def load(
    path: str | os.PathLike[str],
    *,
    delegates: Iterable[str] | None = None,
    strict: bool = False,
    threads: int | None = None,
    variant: str | None = None,
    backend: str | None = None,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] = (),
    raw: bool = False,
    finite: bool = False,
    cache: Path | None = None,
) -> Session:
    """Load a model and make it ready to run.

    Args:
        path: an artifact (``.edge``, or its unpacked folder), or a bare ``.tflite`` or ``.onnx``.
        delegates: names in order of preference (``["gpu", "xnnpack"]``) or paths of delegate
            libraries; None takes the engine's best CPU path. What came of them is in
            ``session.placement``.
        strict: refuse to load unless the first delegate is active and nothing runs elsewhere than
            on the delegates listed.
        threads: for CPU kernels; None takes this process's cores, up to four.
        variant: id of the variant to run; None takes, of those that an engine here can run, the
            one that is fastest on a small CPU (``spec.choice.PREFERENCE``).
        backend: name of the engine; None takes the first that reads the variant's format.
        preprocess, postprocess, labels: for a bare model; an artifact brings its own.
        raw: give outputs as the engine does, quantized integers included.
        finite: refuse inputs that hold a NaN or an infinity; that looks at every number.
        cache: a folder for what can be kept from one load to the next, such as prepared weights;
            None keeps nothing.

    Raises:
        UsageError: no such file, not a model, or an unknown delegate, variant or backend.
        UnavailableError: no engine here can run it, or ``strict`` was not satisfied.
        ArtifactError: the artifact is corrupt.
    """
    path = Path(path)
    requests = read_requests(delegates or ())
    count = default_threads() if threads is None else threads
    if count < 1:
        raise UsageError(f"{count} threads are too few.", "Give --threads 1 or more.")

    if is_artifact(path):
        with open_artifact(path) as artifact:
            chosen, engine = choose(artifact, variant, backend)
            manifest, data = artifact.manifest, artifact.model(chosen)
            digest: str | None = manifest.files[chosen.path].sha256
        signature: Signature | None = manifest.signature
        engine_signature: Signature | None = chosen.signature
        name = chosen.id
        preprocess, postprocess = manifest.preprocess, manifest.postprocess
        labels = manifest.labels
    else:
        if variant is not None:
            raise UsageError(
                f"{path} is a bare model and has no variants.", f"Leave out --variant {variant}."
            )
        engine, data, name = _bare_engine(path, backend), _bare_model(path), path.name
        signature = engine_signature = digest = None
    try:
        model = engine.open(data, delegates=requests, threads=count, cache=cache, digest=digest)
    except EdgeError as error:
        error.message = f"{path}: {error.message}"
        raise
    try:
        if strict:
            _check_strict(model.placement())
        if signature is None or engine_signature is None:
            signature = engine_signature = model.signature
        else:
            _check_promise(path, engine_signature, model.signature)
            _check_terms(path, signature, engine_signature)
        processing = Processing(
            signature=signature,
            engine_signature=engine_signature,
            preprocess=preprocess,
            postprocess=postprocess,
            labels=tuple(labels),
        )
        return Session(
            model,
            signature,
            engine_signature,
            variant=name,
            processing=processing,
            raw=raw,
            finite=finite,
        )
    except BaseException:
        model.close()
        raise


def default_threads() -> int:
    """As many as this process may use, up to four: small models gain nothing beyond."""
    return min(MAX_DEFAULT_THREADS, len(os.sched_getaffinity(0)))


def choose(
    artifact: Artifact, variant_id: str | None = None, backend_name: str | None = None
) -> tuple[Variant, Backend]:
    """The variant to run and the engine to run it.

    Raises:
        UsageError: there is no such variant or backend, or they do not go together.
        UnavailableError: no engine here runs any of the artifact's variants.
    """
    names = None if backend_name is None else (backend_name,)
    if backend_name is not None:
        _ = backend(backend_name)
    if variant_id is not None:
        candidates = [artifact.variant(variant_id)]
    else:
        candidates = by_preference(artifact.variants)
    if not candidates:
        raise ArtifactError(f"{artifact.path} lacks the files of every variant it describes.")
    readers = {name for v in candidates for name in MODULES if runs(name, v)}
    if backend_name is not None and backend_name not in readers:
        raise _does_not_run(backend_name, artifact.path, sorted(readers))
    refusals: list[EdgeError] = []
    for candidate in candidates:
        engines = tuple(name for name in names or MODULES if runs(name, candidate))
        try:
            return candidate, backend_for(candidate.format, engines)
        except UnavailableError as error:
            refusals.append(error)
    raise refusals[0]


def bare_format(path: Path) -> Format:
    """What a bare model file is, by its suffix. Raises UsageError if it cannot be run as it is."""
    model_format = BARE_FORMATS.get(path.suffix.lower())
    if model_format is None:
        raise UsageError(
            f"{path} is neither an artifact nor a model that can be run as it is.",
            f"Convert it first: edge convert {path} -o model.edge",
        )
    return model_format


def is_artifact(path: Path) -> bool:
    """Whether it is an artifact: by its name, or by what is in it, whatever it is called."""
    if path.suffix == SUFFIX or _is_folder(path):
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_ZIP_NAME_AT + len(MANIFEST))
    except OSError:
        return False
    return head.startswith(_ZIP_HEADER) and head[_ZIP_NAME_AT:] == MANIFEST.encode()


def open_artifact(path: Path) -> Artifact:
    """The artifact, in a file or unpacked. Raises as ``Artifact`` does."""
    return ArtifactFolder(path) if _is_folder(path) else Artifact(path)


def _is_folder(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _bare_engine(path: Path, backend_name: str | None) -> Backend:
    model_format = bare_format(path)
    if backend_name is None:
        return backend_for(model_format)
    if model_format not in backend(backend_name).formats:
        readers = [name for name in MODULES if model_format in backend(name).formats]
        raise _does_not_run(backend_name, path, readers)
    return backend_for(model_format, (backend_name,))


def _does_not_run(backend_name: str, path: Path, readers: Iterable[str]) -> UsageError:
    return UsageError(
        f"The backend {backend_name!r} does not run {path}.",
        f"These do: {', '.join(readers) or 'none'}.",
    )


def _bare_model(path: Path) -> Path | bytes:
    """The file itself, for the engine to map; its bytes where engines cannot be told its name.

    Raises:
        UsageError: it cannot be read, or is empty.
    """
    try:
        with path.open("rb") as file:
            empty = not os.fstat(file.fileno()).st_size
            data = None if _is_text(path) else file.read()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    if empty:
        raise UsageError(f"{path} is empty.", "Export the model again.")
    return path if data is None else data


def _is_text(path: Path) -> bool:
    """Whether its name is Unicode, as engines want it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_promise(path: Path, promised: Signature, found: Signature) -> None:
    """Whether a manifest describes the model that came with it. Raises ArtifactError if not.

    A length may be open on one side: ``--input`` fixes what a model leaves so.
    """
    for side in ("inputs", "outputs"):
        said, is_so = getattr(promised, side), getattr(found, side)
        if len(said) != len(is_so) or not all(map(_alike, said, is_so)):
            raise ArtifactError(
                f"{path}: the manifest says {side} {', '.join(map(str, said))}, "
                f"the model has {', '.join(map(str, is_so))}."
            )


def _check_terms(path: Path, declared: Signature, build: Signature) -> None:
    """Whether a build has the lengths of the original. Raises ArtifactError if not."""
    for side in ("inputs", "outputs"):
        originals = {tensor.name: tensor for tensor in getattr(declared, side)}
        for tensor in getattr(build, side):
            original = originals[tensor.name]
            if not _same_lengths(original, tensor):
                raise ArtifactError(
                    f"{path}: the manifest says {original}, its variant has {tensor}."
                )


def _alike(said: TensorSpec, is_so: TensorSpec) -> bool:
    return said.dtype == is_so.dtype and _same_lengths(said, is_so)


def _same_lengths(one: TensorSpec, other: TensorSpec) -> bool:
    return len(one.shape) == len(other.shape) and all(
        a == b or isinstance(a, str) or isinstance(b, str)
        for a, b in zip(one.shape, other.shape, strict=True)
    )


def _check_strict(placement: Placement) -> None:
    requested = placement.requested or placement.actual
    first = requested[0]
    if first not in placement.actual:
        reason = next((a.reason for a in placement.attempts if a.delegate == first), "not tried")
        raise UnavailableError(
            f"The delegate {first!r} is not active: {reason}.",
            "Without --strict the next delegate takes its place.",
        )
    strays = [a for a in placement.attempts if a.active and a.delegate not in requested]
    if stray := next((a for a in strays if a.operations), None):
        raise UnavailableError(
            f"{stray.operations} of the model's operations run on {stray.delegate!r}, "
            f"which was not asked for.",
            f"Allow it: --delegate {','.join((*requested, stray.delegate))}",
        )
