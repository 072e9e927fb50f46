"""Loading: from a path to a session, by way of the variant and the engine that fit this machine."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from edge_sdk.backends import MODULES, Backend, backend, backend_for
from edge_sdk.backends.delegates import asks_for_auto, read_requests
from edge_sdk.errors import ArtifactError, EdgeError, UnavailableError, UsageError
from edge_sdk.files import cache_folder
from edge_sdk.runtime.lazy import lazy_session
from edge_sdk.runtime.loading import Found, Loading
from edge_sdk.runtime.session import Session
from edge_sdk.runtime.trial import Trial
from edge_sdk.spec import Format, Postprocess, Preprocess, Variant
from edge_sdk.spec.choice import by_preference, runs
from edge_sdk.spec.contents import GOLDEN, MANIFEST, SUFFIX
from edge_sdk.text import nearest

if TYPE_CHECKING:
    from edge_sdk.artifact import Artifact

Readiness = Literal["lazy", "loaded", "warmed"]

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
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    check: bool = True,
    ready: Readiness = "loaded",
    cache: str | os.PathLike[str] | None = None,
) -> Session:
    """Load a model and make it ready to run.

    Args:
        path: an artifact (``.edge``, or its unpacked folder), or a bare ``.tflite`` or ``.onnx``.
        delegates: names in order of preference (``["gpu", "xnnpack"]``) or paths of delegate
            libraries; None takes the engine's best CPU path; ``"auto"`` measures engines, delegates
            and numbers of threads once, and takes the fastest that answers rightly (``auto``). What
            came of them is in ``session.placement``.
        strict: refuse to load unless the first delegate is active and nothing runs elsewhere than
            on the delegates listed.
        threads: for CPU kernels; None takes this process's cores, up to four.
        variant: id of the variant to run; None takes, of those that an engine here can run, the
            one that is fastest on a small CPU (``spec.choice.PREFERENCE``).
        backend: name of the engine; None takes the first that reads the variant's format.
        preprocess, postprocess, labels: for a bare model; an artifact brings its own.
        raw: give outputs as the engine does, quantized integers included.
        finite: refuse inputs that hold a NaN or an infinity; that looks at every number.
        shapes: by input name, for which ``"auto"`` is to find the fastest way where the signature
            leaves lengths open and no golden vectors have any; such a length is otherwise 1.
        check: run an artifact's golden vectors the first time that it is loaded this way on this
            machine, and do without a delegate that answers wrongly (``trial``).
        ready: ``"lazy"`` opens an artifact's model when it is first run, ``"loaded"`` now, and
            ``"warmed"`` runs it once besides, for what engines leave to the first run.
        cache: a folder for what can be kept from one load to the next: prepared weights, an
            artifact's model unpacked so that it can be mapped, what was measured and proven. None
            keeps the last two alone, in the user's cache.

    Raises:
        UsageError: no such file, not a model, or an unknown delegate, variant or backend.
        UnavailableError: no engine here can run it, ``strict`` was not satisfied, or no way of
            running it here gives the right numbers.
        ArtifactError: the artifact is corrupt.
    """
    path = Path(path)
    if ready not in get_args(Readiness):
        raise UsageError(f"A session is not made {ready!r}.", nearest(ready, get_args(Readiness)))
    kept = None if cache is None else Path(cache)
    memory = kept or cache_folder() / "runtime"
    if delegates is not None and asks_for_auto(delegates):
        from edge_sdk.runtime.auto import fastest

        choice = fastest(
            path, memory, variant=variant, backend=backend, threads=threads, shapes=shapes
        )
        variant, backend = choice.variant, choice.backend
        delegates, threads = choice.delegates, choice.threads
    requests = read_requests(delegates or ())
    count = default_threads() if threads is None else threads
    if count < 1:
        raise UsageError(f"{count} threads are too few.", "Give --threads 1 or more.")

    if is_artifact(path):
        found = _in_artifact(path, variant, backend, kept, memory if check else None)
    else:
        if variant is not None:
            raise UsageError(
                f"{path} is a bare model and has no variants.", f"Leave out --variant {variant}."
            )
        if ready == "lazy":
            raise UsageError(
                f"{path} is a bare model: what it takes is known when it is open.",
                f"Leave out ready='lazy', or wrap it: edge convert {path} -o model.edge",
            )
        found = Found(
            name=path.name,
            engine=_bare_engine(path, backend),
            content=_bare_model(path),
            preprocess=preprocess,
            postprocess=postprocess,
            labels=tuple(labels),
        )
    loading = Loading(
        path=path,
        found=found,
        requests=requests,
        threads=count,
        strict=strict,
        raw=raw,
        finite=finite,
        cache=kept,
    )
    if ready == "lazy" and found.built is not None:
        return lazy_session(loading, found.built)
    model, disqualified = loading.opened()
    try:
        session = loading.session(model, disqualified)
        if ready == "warmed":
            session.warm_up()
    except BaseException:
        model.close()
        raise
    return session


def _in_artifact(
    path: Path,
    variant: str | None,
    backend_name: str | None,
    cache: Path | None,
    memory: Path | None,
) -> Found:
    """What an artifact has for this machine; held to its golden vectors if there is a memory."""
    from edge_sdk.runtime.unpacked import mapped

    with open_artifact(path) as artifact:
        chosen, engine = choose(artifact, variant, backend_name)
        content = artifact.model(chosen) if cache is None else mapped(artifact, chosen, cache)
        manifest = artifact.manifest
    trial = None
    if memory is not None and GOLDEN in manifest.files:
        trial = Trial(path, manifest, chosen, engine, memory / "verdicts")
    return Found(
        name=chosen.id,
        engine=engine,
        content=content,
        digest=manifest.files[chosen.path].sha256 if chosen.path in manifest.files else None,
        signature=manifest.signature,
        built=chosen.signature,
        preprocess=manifest.preprocess,
        postprocess=manifest.postprocess,
        labels=manifest.labels,
        trial=trial,
    )


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
    from edge_sdk.artifact import Artifact, ArtifactFolder

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
