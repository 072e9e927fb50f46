"""The trial of a delegate: its numbers are looked at before they are trusted.

A delegate is code of somebody else's that may compute something else and say nothing. So the
first time that a model is loaded with a delegate, by a driver, on an engine, the artifact's golden
inputs are run and held against the original's answers. A delegate that is too far off is
disqualified, with the difference; the model is opened again without it, and the next one is tried.
What is left at the end are the engine's own kernels; where those are wrong too, there is nothing to
run.

The verdict is kept, so that this costs once what running the golden inputs costs (``kept``). It is
asked for again when the model, the golden vectors, the engine's version, a driver, the delegates
that were asked for or the processor are others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edge_sdk.backends.base import Backend, DelegateRequest, LoadedModel
from edge_sdk.errors import EdgeError, UnavailableError
from edge_sdk.processing import Processing
from edge_sdk.runtime.kept import Kept
from edge_sdk.runtime.session import Session
from edge_sdk.spec import Attempt, Manifest, Placement, Variant, Word
from edge_sdk.spec.contents import GOLDEN, variant_files

OWN = ("xnnpack", "cpu")
"""Delegates that are the engine's own kernels; its version is theirs."""


class Verdict(Word, frozen=True, kw_only=True):
    """What came of running the golden vectors.

    Attributes:
        wrong: what was beyond its tolerance, and by how much; empty if nothing was.
    """

    wrong: str = ""


@dataclass(frozen=True)
class Trial:
    """What a model is held to.

    Attributes:
        path: the artifact.
        manifest, variant: what it says of itself, and of the build that is loaded.
        engine: by which it is opened.
        folder: where verdicts are kept.
    """

    path: Path
    manifest: Manifest
    variant: Variant
    engine: Backend
    folder: Path

    def first_right(
        self,
        open_with: Callable[[Sequence[DelegateRequest]], LoadedModel],
        requests: Sequence[DelegateRequest],
    ) -> tuple[LoadedModel, tuple[Attempt, ...]]:
        """The model with the first of the requested delegates that gives the right numbers.

        Returns:
            The model, and an attempt for each delegate that did not.

        Raises:
            UnavailableError: the engine's own kernels do not either.
        """
        left = tuple(requests)
        disqualified: list[Attempt] = []
        while True:
            model = open_with(left)
            try:
                verdict = self._verdict(model, left)
                if not verdict.wrong:
                    return model, tuple(disqualified)
                blamed = _blamed(model.placement())
            except BaseException:
                model.close()
                raise
            model.close()
            disqualified.append(
                Attempt(
                    delegate=blamed.delegate,
                    active=False,
                    reason=f"it answers wrongly on the golden vectors: {verdict.wrong}",
                    driver=blamed.driver,
                )
            )
            if blamed.delegate == "cpu":
                raise UnavailableError(
                    f"{self.path}: no way of running it here answers as the original did: "
                    f"{verdict.wrong}.",
                    f"edge verify {self.path}   # or another variant: --variant ID",
                )
            left = _without(left, blamed.delegate)

    def _verdict(self, model: LoadedModel, requests: Sequence[DelegateRequest]) -> Verdict:
        kept = Kept(self.folder, Verdict)
        files = (*variant_files(self.manifest, self.variant), GOLDEN)
        about = {
            **{f"digest of {name}": self.manifest.files[name].sha256 for name in files},
            "engine": f"{self.engine.name} {self.engine.version()}",
            "processor": processor(),
            **_ran(model, requests),
        }
        found = kept.find(about)
        if found is None:
            found = self._try(model)
            kept.keep(about, found)
        return found

    def _try(self, model: LoadedModel) -> Verdict:
        from edge_sdk.runtime.model_file import open_artifact
        from edge_sdk.runtime.selfcheck import judge, unproven

        with open_artifact(self.path) as artifact:
            golden = artifact.golden()
        signature, name = self.manifest.signature, self.variant.id
        if golden is None or unproven(signature, golden) or name not in golden.tolerance:
            return Verdict()  # then nothing was promised
        built = self.variant.signature
        processing = Processing(signature=signature, engine_signature=built)
        session = Session(model, signature, built, variant=name, processing=processing)
        try:
            verdict = Verdict(wrong=judge(session, golden).reason)
        except EdgeError as error:
            verdict = Verdict(wrong=f"it fails: {error.message}")
        model.reset()
        return verdict


def _ran(model: LoadedModel, requests: Sequence[DelegateRequest]) -> dict[str, str]:
    """What was asked for, and the drivers of what came of it."""
    asked = {f"delegate {n}": f"{r.name} {r.options}" for n, r in enumerate(requests)}
    if all(request.name in OWN for request in requests):
        return asked  # working out the placement costs more than reading a verdict
    active = [a for a in model.placement().attempts if a.active and a.delegate not in OWN]
    return {**asked, **{f"driver of {a.delegate}": a.driver for a in active}}


def _blamed(placement: Placement) -> Attempt:
    """Who is to answer for wrong numbers: a foreign delegate first, the plain kernels last."""
    active = [attempt for attempt in placement.attempts if attempt.active]
    foreign = [attempt for attempt in active if attempt.delegate not in OWN]
    return (foreign or sorted(active, key=lambda attempt: attempt.delegate == "cpu"))[0]


def _without(requests: Sequence[DelegateRequest], name: str) -> tuple[DelegateRequest, ...]:
    left = tuple(request for request in requests if request.name != name)
    plain = DelegateRequest(name="cpu")
    return left if name != "xnnpack" or plain in left else (*left, plain)


@lru_cache(maxsize=1)
def processor() -> str:
    """The processor by name and instruction sets: kernels are chosen by those."""
    from edge_sdk.backends.processor import cpuinfo
    from edge_sdk.machine.profile import cpu_features, cpu_name

    text = cpuinfo()
    return " ".join((cpu_name(text), *cpu_features(text)))
