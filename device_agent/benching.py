"""Measurements that the fleet is told of: taken here of what serves, or read from a file.

They are taken in the process of whoever asks, not in the agent: what it does must not wait for
them. The application's own worker goes on beside, and shares the processor.
"""

from __future__ import annotations

import sys
from pathlib import Path

from msgspec.structs import replace

from device_agent.slots import Slots
from edge_sdk.errors import ArtifactError, UnavailableError, UsageError
from edge_sdk.spec import decode, encode
from edge_sdk.spec.bench import BenchReport
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.wire import MAX_MESSAGE_BYTES

HOW = "edge bench X.edge --json > bench.json"


def read_report(path: Path) -> BenchReport:
    """A report that ``edge bench --json`` wrote.

    Raises:
        UsageError: there is none, or it is none.
    """
    try:
        report = decode(path.read_bytes(), BenchReport, str(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", HOW) from error
    except ArtifactError as error:
        raise UsageError(error.message, HOW) from error
    return sendable(report)


def measure_slot(state: Path, serving: ArtifactRef, seconds: float, device: str) -> BenchReport:
    """Measure the variant that a device has of an artifact, on every engine that runs it.

    Args:
        state: the agent's folder.
        serving: what to measure.
        seconds: for all engines together.
        device: its name.

    Raises:
        UnavailableError: it is not there any more.
        EdgeError: it cannot be measured.
    """
    from edge_sdk.runtime.bench_report import bench

    slot = state / "slots" / serving.digest
    variant = Slots.variant(slot)
    if not variant:
        raise UnavailableError(
            f"{serving.name} {serving.version} is not on this device any more.",
            f"edge agent status --state {state}",
        )
    report = bench(
        slot,
        seconds=seconds,
        variants=[variant],
        device=device,
        progress=lambda line: print(line, file=sys.stderr),
    )
    return sendable(report)


def sendable(report: BenchReport) -> BenchReport:
    """As the fleet is told: with the model's name, but not with where it lies on this device.

    Raises:
        UsageError: there is nothing in it, or too much.
    """
    if not report.measurements:
        raise UsageError("There is no measurement in it.", HOW)
    if len(encode(report)) > MAX_MESSAGE_BYTES:
        raise UsageError(
            f"It is larger than a message may be ({MAX_MESSAGE_BYTES} bytes).",
            "Measure less in one go: --variant, --backend",
        )
    artifact = report.artifact
    name = Path(report.model).name if artifact is None else f"{artifact.name}@{artifact.version}"
    return replace(report, model=name)
