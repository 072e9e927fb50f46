"""Opening: a model with an engine, and a session of it. Nothing is measured and nothing proven.

That is done above, in ``load``: it holds a model to its golden vectors (``trial``), or asks which
way of running it is the fastest (``auto``). Those two, the check of an artifact (``selfcheck``) and
the measuring (``bench``) open models themselves, exactly as they say, and must not end up in a
trial that is theirs to make. So they stand on this room, and it knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge_sdk.backends import Backend, DelegateRequest, LoadedModel
from edge_sdk.backends.delegates import read_requests
from edge_sdk.errors import EdgeError, UnavailableError, UsageError
from edge_sdk.files import sha256, sha256_file
from edge_sdk.processing import Processing
from edge_sdk.runtime.choosing import bare_engine, choose, default_threads
from edge_sdk.runtime.model_file import bare_model, is_artifact, open_artifact
from edge_sdk.runtime.promises import check_promise, check_terms
from edge_sdk.runtime.session import Session
from edge_sdk.spec import (
    Attempt,
    Identity,
    InputLimits,
    Manifest,
    Postprocess,
    Preprocess,
    Signature,
    Variant,
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies at a path, chosen from.

    Attributes:
        content: the model.
        manifest, variant: what an artifact says of itself, and of this build; None for a bare
            model, which says itself what it takes.
        manifest_bytes: the manifest as it stands there; none for a bare model.
    """

    path: Path
    engine: Backend
    content: Path | bytes
    manifest: Manifest | None = None
    variant: Variant | None = None
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    labels: tuple[str, ...] = ()
    manifest_bytes: bytes = b""

    @property
    def name(self) -> str:
        """The variant's id, or the file's name."""
        return self.path.name if self.variant is None else self.variant.id

    @property
    def digest(self) -> str | None:
        """Of the model, where it is known."""
        if self.manifest is None or self.variant is None:
            return None
        entry = self.manifest.files.get(self.variant.path)
        return None if entry is None else entry.sha256

    @property
    def signature(self) -> Signature | None:
        """In the terms of the original."""
        return None if self.manifest is None else self.manifest.signature

    @property
    def built(self) -> Signature | None:
        """In the terms of this build."""
        return None if self.variant is None else self.variant.signature


def in_artifact(
    path: Path, variant: str | None = None, backend: str | None = None, cache: Path | None = None
) -> Found:
    """What an artifact has for this machine. Raises as ``edge_sdk.load``."""
    from edge_sdk.runtime.unpacked import mapped

    with open_artifact(path) as artifact:
        chosen, engine = choose(artifact, variant, backend)
        content = artifact.model(chosen) if cache is None else mapped(artifact, chosen, cache)
        manifest, manifest_bytes = artifact.manifest, artifact.manifest_bytes
    return Found(
        path=path,
        engine=engine,
        content=content,
        manifest=manifest,
        variant=chosen,
        preprocess=manifest.preprocess,
        postprocess=manifest.postprocess,
        labels=manifest.labels,
        manifest_bytes=manifest_bytes,
    )


def bare(
    path: Path,
    variant: str | None = None,
    backend: str | None = None,
    *,
    preprocess: Preprocess | None = None,
    postprocess: Postprocess | None = None,
    labels: Sequence[str] = (),
) -> Found:
    """A bare model, and what is said of it. Raises as ``edge_sdk.load``."""
    if variant is not None:
        raise UsageError(
            f"{path} is a bare model and has no variants.", f"Leave out --variant {variant}."
        )
    return Found(
        path=path,
        engine=bare_engine(path, backend),
        content=bare_model(path),
        preprocess=preprocess,
        postprocess=postprocess,
        labels=tuple(labels),
    )


@dataclass(frozen=True, kw_only=True)
class Opening:
    """How what was found is opened; see ``edge_sdk.load``."""

    found: Found
    requests: tuple[DelegateRequest, ...]
    threads: int
    raw: bool = False
    finite: bool = False
    cache: Path | None = None
    limits: InputLimits | None = None

    @property
    def requested(self) -> tuple[str, ...]:
        """The delegates that are asked for, by name."""
        return tuple(request.name for request in self.requests)

    def open_with(self, requests: Sequence[DelegateRequest]) -> LoadedModel:
        """The model, with these delegates out of those. Raises as ``edge_sdk.load``."""
        found = self.found
        try:
            model = found.engine.open(
                found.content,
                delegates=requests,
                threads=self.threads,
                cache=self.cache,
                digest=found.digest,
            )
        except EdgeError as error:
            error.message = f"{found.path}: {error.message}"
            raise
        try:
            if found.signature is not None and found.built is not None:
                check_promise(found.path, found.built, model.signature)
                check_terms(found.path, found.signature, found.built)
        except BaseException:
            model.close()
            raise
        return model

    def session(self, model: LoadedModel, disqualified: Sequence[Attempt] = ()) -> Session:
        """A session of it."""
        found = self.found
        signature, built = found.signature or model.signature, found.built or model.signature
        session = self._kind()(
            model,
            signature,
            built,
            variant=found.name,
            processing=Processing(
                signature=signature,
                engine_signature=built,
                preprocess=found.preprocess,
                postprocess=found.postprocess,
                labels=found.labels,
            ),
            raw=self.raw,
            finite=self.finite,
            requested=self.requested,
            disqualified=disqualified,
            identify=_identity(found),
        )
        if self.limits is not None:
            _guard(session, self.limits, found.path)
        return session

    def _kind(self) -> type[Session]:
        if self.limits is None or self.found.preprocess is not None:
            return Session
        from edge_sdk.runtime.guarded import GuardedSession

        return GuardedSession


def _guard(session: Session, limits: InputLimits, path: Path) -> None:
    from edge_sdk.guard import InputGuard  # for those alone who declare limits

    try:
        session.guard = InputGuard(session, limits)
    except UsageError as error:
        error.message = f"{path}: {error.message}"
        raise


def _identity(found: Found) -> Callable[[], Identity]:
    """What tells which model it is. It holds on to none of the model's content."""
    if found.manifest is None:
        return partial(_identity_of_file, found.path)
    name, version = found.manifest.name, found.manifest.version
    data = found.manifest_bytes  # digested when it is asked for: that loads OpenSSL
    return lambda: Identity(name=name, version=version, digest=sha256(data))


def _identity_of_file(path: Path) -> Identity:
    try:
        return Identity(name=path.name, digest=sha256_file(path))
    except OSError as error:
        raise UnavailableError(
            f"{path}, which was loaded, cannot be read any more: {error.strerror}.",
            "Leave a model where it is for as long as it is used.",
        ) from error


MOST_THREADS = 1024
"""More than any processor has cores; engines hang or crash of tens of thousands."""


def thread_count(threads: int | None) -> int:
    """As many as are asked for, or the default. Raises UsageError if that is no such number."""
    count = default_threads() if threads is None else threads
    if not isinstance(count, int):
        raise UsageError(f"{count!r} is no number of threads.", "Give a whole number: threads=2")
    if not 1 <= count <= MOST_THREADS:
        few_or_many = "few" if count < 1 else "many"
        raise UsageError(
            f"{count} threads are too {few_or_many}.", f"Give --threads 1 to {MOST_THREADS}."
        )
    return count


def open_session(
    path: Path,
    *,
    variant: str | None = None,
    backend: str | None = None,
    delegates: Sequence[str] = (),
    threads: int | None = None,
) -> Session:
    """A session of exactly this: whether its numbers are right is the caller's to find out.

    Args:
        path, variant, backend, threads: see ``edge_sdk.load``.
        delegates: the same, without ``"auto"``.

    Raises:
        EdgeError: as ``edge_sdk.load``.
    """
    requests = read_requests(delegates)
    count = thread_count(threads)
    found = (in_artifact if is_artifact(path) else bare)(path, variant, backend)
    opening = Opening(found=found, requests=requests, threads=count)
    model = opening.open_with(requests)
    try:
        return opening.session(model)
    except BaseException:
        model.close()
        raise
