"""One load, with everything decided: what is opened, by which engine, in whose terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_sdk.backends import Backend, DelegateRequest, LoadedModel
from edge_sdk.errors import EdgeError
from edge_sdk.processing import Processing
from edge_sdk.runtime.promises import check_promise, check_strict, check_terms
from edge_sdk.runtime.session import Session, with_disqualified
from edge_sdk.runtime.trial import Trial
from edge_sdk.spec import Attempt, Postprocess, Preprocess, Signature

Opened = tuple[LoadedModel, tuple[Attempt, ...]]
"""A model, and the delegates that it was tried on before and that gave wrong numbers."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What lies at a path, chosen from.

    Attributes:
        name: the variant's id, or the file's name.
        content: the model.
        digest: of it, where it is known.
        signature, built: the terms of the original, and of this build; None for a bare model, which
            says itself what it takes.
        trial: what it is held to; None if there are no golden vectors.
    """

    name: str
    engine: Backend
    content: Path | bytes
    digest: str | None = None
    signature: Signature | None = None
    built: Signature | None = None
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    labels: tuple[str, ...] = ()
    trial: Trial | None = None


@dataclass(frozen=True, kw_only=True)
class Loading:
    """How what was found is to be loaded; see ``edge_sdk.load``."""

    path: Path
    found: Found
    requests: tuple[DelegateRequest, ...]
    threads: int
    strict: bool
    raw: bool
    finite: bool
    cache: Path | None

    def opened(self) -> Opened:
        """The model on the first of the delegates that is right. Raises as ``edge_sdk.load``."""
        disqualified: tuple[Attempt, ...] = ()
        if self.found.trial is None:
            model = self._open_with(self.requests)
        else:
            model, disqualified = self.found.trial.first_right(self._open_with, self.requests)
        try:
            if self.strict:
                check_strict(with_disqualified(model.placement(), self._requested, disqualified))
        except BaseException:
            model.close()
            raise
        return model, disqualified

    def session(self, model: LoadedModel, disqualified: Sequence[Attempt] = ()) -> Session:
        """A session of it."""
        found = self.found
        signature, built = found.signature or model.signature, found.built or model.signature
        return Session(
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
            requested=self._requested,
            disqualified=disqualified,
        )

    @property
    def _requested(self) -> tuple[str, ...]:
        return tuple(request.name for request in self.requests)

    def _open_with(self, requests: Sequence[DelegateRequest]) -> LoadedModel:
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
            error.message = f"{self.path}: {error.message}"
            raise
        try:
            if found.signature is not None and found.built is not None:
                check_promise(self.path, found.built, model.signature)
                check_terms(self.path, found.signature, found.built)
        except BaseException:
            model.close()
            raise
        return model
