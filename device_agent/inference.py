"""One artifact, loaded: it answers inputs, and its answers can be measured and proven."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from device_agent import ipc
from device_agent.shadow import Answer
from device_agent.sources import Input, Takes
from edge_sdk.artifact import Artifact, ArtifactFolder, Golden
from edge_sdk.errors import ArtifactError, UpdateError, UsageError
from edge_sdk.guard import InputGuard
from edge_sdk.processing import Mask
from edge_sdk.runtime import Session, load
from edge_sdk.runtime.bench import random_inputs
from edge_sdk.runtime.selfcheck import judge, unproven
from edge_sdk.spec import Boxes, Classes, GoldenCheck, InputLimits, Placement, decode
from edge_sdk.spec.contents import BASELINE
from edge_sdk.spec.sketch import Baseline
from edge_sdk.telemetry.features import Numbers, Probe

if TYPE_CHECKING:
    from edge_sdk.audit import AuditLog

_GRAY = 128
_WARM_UPS = 2
"""Engines allocate, and delegates compile, in their first runs."""


@dataclass(frozen=True, slots=True)
class Inference:
    """What came of one input.

    Attributes:
        answer: in the application's terms.
        latency_us: preprocessing, inference and postprocessing, in microseconds.
        inputs, outputs: the tensors, for measuring.
    """

    answer: Answer
    latency_us: float
    inputs: Mapping[str, npt.NDArray[Any]]
    outputs: Mapping[str, npt.NDArray[Any]]

    @property
    def classes(self) -> tuple[int, ...]:
        """The likeliest class, or that of each object; none of an undeclared answer."""
        if isinstance(self.answer, Classes):
            return (self.answer.top[0].index,)
        if isinstance(self.answer, Boxes):
            return tuple(box.index for box in self.answer.found)
        return ()


class Model:
    """An artifact in a session of its own, warm.

    Attributes:
        digest: the artifact's.
        takes: what it can be fed.
        baseline: what it is compared with; None if it brought none.
        names: of the features that ``measure`` gives.
        placement: where its operations run.
        guard: what limits refuse; None if there are none. ``answer`` does not ask it.
        whose: limits those are, in words.
    """

    def __init__(
        self,
        digest: str,
        session: Session,
        baseline: Baseline | None,
        golden: Golden | None,
        guard: InputGuard | None = None,
        whose: str = "",
    ) -> None:
        self.digest = digest
        self.baseline = baseline
        self._session, self._golden = session, golden
        self._probe = Probe(session.processing, session.signature, session.engine_signature)
        self.names = self._probe.names
        self.takes = Takes(session.engine_signature, session.processing.preprocess is not None)
        self.placement: Placement = session.placement
        self.guard, self.whose = guard, whose

    def answer(self, given: Input) -> Inference:
        """Answer one input, as ``Session.predict`` does; arrays are fed as they are.

        Raises:
            EdgeError: the input does not fit, or the model answered no numbers; or whatever else
                an engine raises.
        """
        session = self._session
        started = time.perf_counter_ns()
        if isinstance(given, dict):
            inputs, geometry = given, None
        else:
            inputs, geometry = session.processing.before(given)
        outputs = session.run(inputs)
        found = session.processing.after(outputs, geometry)
        # A map of scores is compared and measured as the numbers it is.
        answer: Answer = outputs if isinstance(found, Mask) else found
        elapsed = time.perf_counter_ns() - started
        return Inference(answer, elapsed / 1000, inputs, outputs)

    def measure(self, inference: Inference) -> Numbers:
        """The features of one of its inferences."""
        return self._probe.measure(inference.inputs, inference.outputs, inference.answer)

    def record(self, log: AuditLog, given: Input, inference: Inference, *, lost: int) -> None:
        """Write down what it answered. See ``AuditLog.record``."""
        log.record(self._session, given, inference.answer, lost=lost)

    def prove(self) -> GoldenCheck | None:
        """Run the golden vectors, as it was loaded; None if it brought none.

        Raises:
            UpdateError: they are of another model.
        """
        if self._golden is None:
            return None
        if problem := unproven(self._session.signature, self._golden):
            raise UpdateError(f"It cannot be proven: {problem}.")
        return judge(self._session, self._golden)

    def close(self) -> None:
        """Give back the engine's memory."""
        self._session.close()


def load_model(
    slot: str,
    digest: str,
    *,
    source: ipc.Source,
    delegates: tuple[str, ...],
    threads: int,
    guard: InputLimits | bool,
) -> Model:
    """Load an artifact, check that it is the one that is meant, and warm it.

    Args:
        slot: its folder, or an ``.edge`` file.
        digest: the artifact's.
        source: where its inputs will come from.
        delegates, threads, guard: as ``edge_sdk.load`` takes them.

    Raises:
        ArtifactError: it is corrupt, or another one.
        UpdateError: nothing that comes from the source could feed it, or the limits of this device
            are not of what it takes.
        EdgeError: no engine here runs it.
    """
    path = Path(slot)
    with ArtifactFolder(path) if path.is_dir() else Artifact(path) as artifact:
        if artifact.digest != digest:
            raise ArtifactError(f"{path} holds the artifact {artifact.digest}, not {digest}.")
        declared = artifact.manifest.preprocess
        if declared is None and source.kind == "video":
            raise UpdateError(
                f"{artifact.manifest.name} declares no preprocessing, so a video cannot feed it.",
                "Convert it with --preprocess SPEC.toml, or give the application a folder of "
                "arrays.",
            )
        golden, limits = artifact.golden(), artifact.manifest.guard
        baseline = None
        if BASELINE in artifact:
            baseline = decode(artifact.read(BASELINE), Baseline, f"{path}: {BASELINE}")
    # The engine's own kernels are proven by ``Model.prove``; who is asked for beside them, here.
    session = load(
        path, delegates=delegates or None, threads=threads, check=bool(delegates), guard=False
    )
    whose = "the device's own" if isinstance(guard, InputLimits) else "the artifact's"
    limits = (limits if guard else None) if isinstance(guard, bool) else guard
    try:
        model = Model(digest, session, baseline, golden, _guard(session, limits, whose), whose)
        first = _first_input(session, golden)
        for _ in range(_WARM_UPS):
            model.answer(first)
    except BaseException:
        session.close()
        raise
    return model


def _guard(session: Session, limits: InputLimits | None, whose: str) -> InputGuard | None:
    """What inputs are held to, before the session rather than in it: warming is no input."""
    if limits is None:
        return None
    try:
        return InputGuard(session, limits)
    except UsageError as error:
        raise UpdateError(f"It cannot be held to {whose} limits: {error.message}") from error


def _first_input(session: Session, golden: Golden | None) -> Input:
    """Something to warm a model with: gray, or a real input if it brought one, or noise."""
    declared = session.processing.preprocess
    if declared is not None:
        return np.full((*declared.size, 3), _GRAY, np.uint8)
    if golden is not None:
        return {name: rows[0] for name, rows in golden.inputs.items()}
    return random_inputs(session.signature, {})
