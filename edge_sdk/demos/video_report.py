"""What ``edge demo video`` did: the word of its ``--json``, and the same for a person."""

from __future__ import annotations

from edge_sdk.pipeline.metrics import Spread, StageReport
from edge_sdk.spec import Word
from edge_sdk.text import table


class VideoReport(Word, frozen=True, kw_only=True):
    """What ``edge demo video`` did.

    Attributes:
        input, effect, output: as asked for; output is None where only a page was shown.
        page: the live page's address, or None.
        backend: by which the models ran, if one was asked for.
        taken, frames: frames that the source gave, and that got through.
        dropped: the others, by stage and reason.
        missed: what got through and no further, by sink and reason.
        with_faces: in how many of them faces were found; None where none were looked for.
        seconds, fps, age_ms, stages, warnings: as ``edge_sdk.pipeline.PipelineReport``.
    """

    input: str
    effect: str
    output: str | None
    page: str | None
    backend: str | None
    taken: int
    frames: int
    dropped: dict[str, int]
    missed: dict[str, int]
    with_faces: int | None
    seconds: float
    fps: float
    age_ms: Spread
    stages: dict[str, StageReport]
    warnings: tuple[str, ...]


def described(report: VideoReport) -> str:
    """The report for a person."""
    if not report.taken:
        return "\n".join(("No frame has come.", *report.warnings))
    rows = [
        (name, str(each.frames), *(_ms(value) for value in (each.ms.p50, each.ms.p99)))
        for name, each in report.stages.items()
    ]
    lines = [table(("stage", "frames", "p50", "p99"), rows, "<>>>"), ""]
    faces = "" if report.with_faces is None else f", faces in {report.with_faces}"
    lines.append(
        f"{report.frames} of {report.taken} frames{faces}; {report.fps:.1f} frames a second, "
        f"age at the end p50 {_ms(report.age_ms.p50)}, p99 {_ms(report.age_ms.p99)}"
    )
    lines += [f"{count} dropped, {why}" for why, count in report.dropped.items()]
    lines += [f"{count} missed, {why}" for why, count in report.missed.items()]
    lines += report.warnings
    if report.output:
        lines.append(f"Look at {report.output}")
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} ms"
