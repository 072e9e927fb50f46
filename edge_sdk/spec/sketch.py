"""Sketches: what may leave a device instead of its data.

Counts in bins whose edges were fixed beforehand. They merge by addition, exactly, in any order, so
a fleet's histogram is the histogram of the fleet; and no raw value is in them. The arithmetic of
updating and merging is in ``edge_sdk.telemetry``; these are the words on the wire and on disk.

Latencies fall into logarithmic bins: bin ``i`` holds values in ``(ratio ** (i - 1), ratio ** i]``,
so a percentile is right within the ratio (Masson et al., DDSketch, VLDB 2019, §2.1, with fixed
ratio). Features fall between quantiles of the reference data, with bins for what is below, above
and not a number.
"""

from __future__ import annotations

from msgspec import field

from edge_sdk.spec.word import Word

LATENCY_RATIO = 1.02


class LogHistogram(Word, frozen=True, kw_only=True):
    """Positive measurements in logarithmic bins.

    Attributes:
        ratio: of a bin's upper edge to its lower one.
        counts: how many, by bin index; empty bins are left out.
        zeros: how many were zero or below.
    """

    counts: dict[int, int] = field(default_factory=dict)
    ratio: float = LATENCY_RATIO
    zeros: int = 0


class Feature(Word, frozen=True, kw_only=True):
    """One measured property of a model's inputs or outputs, and where its reference values lie.

    Attributes:
        name: ``brightness``, ``contrast``, ``sharpness``, ``confidence``, …
        edges: inner edges of the bins, increasing: quantiles of the reference. Bin 0 is below the
            first, bin i from edge i - 1 up to but not including edge i, the last from the last on.
        reference: counts of the reference data in these bins (one more than edges).
    """

    name: str
    edges: tuple[float, ...]
    reference: tuple[int, ...]


class Baseline(Word, frozen=True, kw_only=True):
    """``baseline.json``: what an artifact's inputs and answers looked like when it was made.

    Attributes:
        samples: how many reference inputs there were.
        features: of inputs and answers.
        classes: how often each class was answered; empty where answers are no classes.
    """

    samples: int
    features: tuple[Feature, ...] = ()
    classes: tuple[int, ...] = ()


class BinCounts(Word, frozen=True, kw_only=True):
    """Counts of one feature in its baseline's bins, and what fits no bin.

    Attributes:
        counts: one more than the feature has edges.
        missing: values that were not a number.
    """

    counts: tuple[int, ...]
    missing: int = 0


class Comparison(Word, frozen=True, kw_only=True):
    """A candidate in shadow beside the version that serves, on the same inputs.

    Attributes:
        compared: how many inputs both answered.
        disagreed: on how many of them the answers differ (another class; for boxes, other objects).
    """

    compared: int = 0
    disagreed: int = 0


class Window(Word, frozen=True, kw_only=True):
    """What one model did on one device for a while: counts, never values.

    Attributes:
        app: the application.
        artifact: digest of the artifact that ran.
        role: ``serve`` or ``shadow``.
        started_ms, ended_ms: wall clock, Unix milliseconds.
        boot: names the run of the agent; monotonic times compare only within one.
        monotonic_ms: of the window's middle, on that boot's monotonic clock.
        inferences, errors, dropped: answered, failed, and refused for want of time.
        unread: inputs that the source could not give: a file cut off, a camera gone. Not the
            artifact's fault, hence not among its errors.
        refused: inputs that the artifact's limits did not let through, by reason.
        unrecorded: answers that should have left a record for audit, and could not.
        crashes: how often the worker died.
        latency: of one inference with its pre- and postprocessing, in microseconds.
        classes: answers by class; a detector counts objects by class.
        features: counts by feature name, in the bins of that artifact's baseline.
        comparison: for a shadow, how it compares with what serves.
        memory_bytes: proportional set size of the worker at the end; 0 where it cannot be read.
    """

    app: str
    artifact: str
    role: str
    started_ms: int
    ended_ms: int
    boot: str
    monotonic_ms: int
    inferences: int = 0
    errors: int = 0
    dropped: int = 0
    unread: int = 0
    crashes: int = 0
    latency: LogHistogram = LogHistogram()
    classes: dict[int, int] = field(default_factory=dict)
    features: dict[str, BinCounts] = field(default_factory=dict)
    comparison: Comparison | None = None
    memory_bytes: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    unrecorded: int = 0
