"""A telemetry window that is being filled: counts, never values. Pure.

One is open for each role that runs a model. It is closed when its time is over, and early when
another artifact takes the role, so that no window speaks of two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_sdk.spec.sketch import Baseline, Comparison, Window
from edge_sdk.telemetry.bins import BinTally
from edge_sdk.telemetry.histogram import LogTally


class OpenWindow:
    """What one artifact did in one role since ``started_ms``.

    Args:
        app, artifact, role, boot: as in ``Window``.
        baseline: whose bins features are counted in; None counts none.
        started_ms: wall clock, Unix milliseconds.
        monotonic_ms: the boot's monotonic clock at the same time.
    """

    def __init__(
        self,
        *,
        app: str,
        artifact: str,
        role: str,
        boot: str,
        baseline: Baseline | None,
        started_ms: int,
        monotonic_ms: int,
    ) -> None:
        self._names = (app, artifact, role, boot)
        self._started_ms, self._monotonic_ms = started_ms, monotonic_ms
        self._latency = LogTally()
        self._classes: dict[int, int] = {}
        features = () if baseline is None else baseline.features
        self._features = {feature.name: BinTally(feature.edges) for feature in features}
        self._inferences = self._errors = self._unread = self._unrecorded = 0
        self._refused: dict[str, int] = {}
        self._compared = self._disagreed = 0

    def answered(self, latency_us: float, classes: Iterable[int]) -> None:
        """One inference went well.

        Args:
            latency_us: of preprocessing, inference and postprocessing together.
            classes: what was answered: the likeliest class, or that of each object.
        """
        self._inferences += 1
        self._latency.observe(latency_us)
        for index in classes:
            self._classes[index] = self._classes.get(index, 0) + 1

    def failed(self) -> None:
        """One inference failed."""
        self._errors += 1

    def unread(self) -> None:
        """The source could not give one input."""
        self._unread += 1

    def refused(self, reason: str) -> None:
        """The artifact's limits did not let one input through."""
        self._refused[reason] = self._refused.get(reason, 0) + 1

    def unrecorded(self) -> None:
        """One answer left no record for audit, and should have."""
        self._unrecorded += 1

    def measured(self, names: Sequence[str], values: Sequence[float]) -> None:
        """The features of one inference; those that the baseline does not know are left out."""
        for name, value in zip(names, values, strict=True):
            tally = self._features.get(name)
            if tally is not None:
                tally.observe(value)

    def compared(self, *, agreed: bool) -> None:
        """Beside what serves, on one input: the same answer or another."""
        self._compared += 1
        self._disagreed += not agreed

    def close(self, *, ended_ms: int, monotonic_ms: int, memory_bytes: int = 0) -> Window:
        """The word for it.

        Args:
            ended_ms, monotonic_ms: now, on both clocks.
            memory_bytes: of the worker, now.
        """
        app, artifact, role, boot = self._names
        return Window(
            app=app,
            artifact=artifact,
            role=role,
            boot=boot,
            started_ms=self._started_ms,
            ended_ms=ended_ms,
            monotonic_ms=(self._monotonic_ms + monotonic_ms) // 2,
            inferences=self._inferences,
            errors=self._errors,
            unread=self._unread,
            latency=self._latency.word(),
            classes=dict(sorted(self._classes.items())),
            features={name: tally.word() for name, tally in self._features.items()},
            comparison=(
                Comparison(compared=self._compared, disagreed=self._disagreed)
                if role == "shadow"
                else None
            ),
            memory_bytes=memory_bytes,
            refused=dict(sorted(self._refused.items())),
            unrecorded=self._unrecorded,
        )
