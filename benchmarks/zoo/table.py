"""The zoo's table, for a terminal and for ``docs/benchmarks.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.zoo.results import Engines, Zoo
from benchmarks.zoo.runs import Build, Run
from edge_sdk.text import bytes_text, table

HEADER = ("model", "target", "answer", "built", "max diff", "same argmax", "s")
SHORT = 60


def plain_table(runs: Sequence[Run]) -> str:
    """One line a variant; what was refused as a whole has its reason in place of variants."""
    rows = [row for run in runs for row in _rows(run)]
    return table(HEADER, [(*row[:3], row[3][:SHORT], *row[4:]) for row in rows], "<<<<>>>")


LITE0 = "EfficientNet-Lite0 (PyTorch)"


def page(results: Path) -> str:
    """All that is kept of the zoo, for ``docs/benchmarks.md``."""
    zoo = msgspec.json.decode((results / "zoo.json").read_bytes(), type=Zoo)
    engines = msgspec.json.decode((results / "zoo_lite0.json").read_bytes(), type=Engines)
    when = zoo.measured
    measured = f"{when['date']}, Python {when['python']}, {when['machine']}, {when['cpus']} cores."
    failed = sum(run.answer == "failed" for run in zoo.zoo)
    parts = [
        f"{measured} {len(zoo.zoo)} conversions, {failed} failed.\n",
        markdown_table(zoo.zoo),
        "\n### EfficientNet-Lite0 beside single engines\n",
        f"The same {engines.photos} photographs, for ranges and for judgement, through each\n"
        "engine's own call with nothing chosen (`python -m benchmarks.zoo.lite0`). Not all show\n"
        "anything of ImageNet's classes (chessboards, pages of text): agreement counts there,\n"
        "too, where scores are nearly even.\n",
        lite0_table(zoo.zoo, engines),
    ]
    return "\n".join(parts) + "\n"


def lite0_table(runs: Sequence[Run], engines: Engines) -> str:
    """Our variants and single engines' defaults, recipe by recipe."""
    ours = [(f"edgeloop, {r.target}", b) for r in runs if r.model == LITE0 for b in r.builds]
    every = [*ours, *engines.engines.items()]
    every.sort(key=lambda pair: (pair[1].recipe, -(pair[1].argmax or 0.0)))
    lines = ["| recipe | by | size | max diff | same argmax |", "|---|---|---:|---:|---:|"]
    for by, build in every:
        size = bytes_text(build.size) if build.size else ""
        gap = "" if build.max_difference is None else f"{build.max_difference:.1e}"
        same = "fails" if build.argmax is None else f"{build.argmax:.1%}"
        lines.append(f"| {build.recipe} | {by} | {size} | {gap} | {same} |")
    return "\n".join(lines)


def markdown_table(runs: Sequence[Run]) -> str:
    """The same as markdown, the reasons in full."""
    lines = ["| " + " | ".join(HEADER) + " |", "|---|---|---|---|---:|---:|---:|"]
    for run in runs:
        rows = ([cell.replace("|", "\\|") for cell in row] for row in _rows(run))
        lines += ["| " + " | ".join(row) + " |" for row in rows]
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
