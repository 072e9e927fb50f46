"""The zoo's table, for a terminal and for ``docs/benchmarks.md``."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.zoo.runs import Build, Run
from edge_sdk.text import bytes_text, table

HEADER = ("model", "target", "answer", "built", "max diff", "same argmax", "s")
SHORT = 60


def plain_table(runs: Sequence[Run]) -> str:
    """One line a variant; what was refused as a whole has its reason in place of variants."""
    rows = [row for run in runs for row in _rows(run)]
    return table(HEADER, [(*row[:3], row[3][:SHORT], *row[4:]) for row in rows], "<<<<>>>")


def markdown_table(runs: Sequence[Run]) -> str:
    """The same as markdown, the reasons in full."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|---|---|---:|---:|---:|"]
    for run in runs:
        for row in _rows(run):
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
    return "\n".join(lines)


def _rows(run: Run) -> list[tuple[str, ...]]:
    seconds = f"{run.seconds:.0f}" if run.seconds else ""
    head = [(run.model, run.target, run.answer, seconds)]
    if not run.builds:
        said = " ".join(run.said.split())
        return [(*head[0][:3], said, "", "", seconds)]
    heads = [*head, *[("", "", "", "")] * (len(run.builds) - 1)]
    return [(*h[:3], *_cells(build), h[3]) for h, build in zip(heads, run.builds, strict=True)]


def _cells(build: Build) -> tuple[str, str, str]:
    size = f" {bytes_text(build.size)}" if build.size else ""
    reason = f": refused, {' '.join(build.reason.split())}" if build.status == "refused" else ""
    noise = " (on noise)" if build.on == "random" else ""
    return (
        f"{build.recipe}{size}{noise}{reason}",
        "" if build.max_difference is None else f"{build.max_difference:.1e}",
        "" if build.argmax is None else f"{build.argmax:.1%}",
    )
