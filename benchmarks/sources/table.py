"""The table of sources times targets, for ``docs/conversion.md``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.sources.runs import Cell, Sources
from converters.recipe import FORMATS

BEGIN, END = "<!-- made by make table: begin -->", "<!-- made by make table: end -->"

NOT_RUN = "not run yet"


def filled(page: str, results: Path) -> str:
    """The page with the table between its marks made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{_table(results)}\n{END}{tail}"


def _table(results: Path) -> str:
    kept = msgspec.json.decode((results / "sources.json").read_bytes(), type=Sources)
    when, notes = kept.measured, list[str]()
    forms = list(dict.fromkeys(cell.form for cell in kept.cells))
    lines = [f"| source | {' | '.join(FORMATS)} |", "|---" * (len(FORMATS) + 1) + "|"]
    for form in forms:
        cells = {cell.target: cell for cell in kept.cells if cell.form == form}
        row = [_words(cells[target], notes) if target in cells else NOT_RUN for target in FORMATS]
        lines.append(f"| {form} | {' | '.join(row)} |")
    measured = f"{when['date']}, Python {when['python']}, {when['machine']}, {when['cpus']} cores."
    reasons = [f"{number}. {reason}" for number, reason in enumerate(notes, 1)]
    return "\n".join(["", *lines, "", *reasons, *([""] if reasons else []), measured, ""])


def _words(cell: Cell, notes: list[str]) -> str:
    """The recipes that were proven, and numbers of notes that say why others were not."""
    if cell.refused:
        return f"refused[{_number(cell.refused, notes)}]"
    good = [f"`{r.recipe}`" for r in cell.recipes if r.status == "converted"]
    bad = [r for r in cell.recipes if r.status == "refused"]
    refused = [f"not `{r.recipe}`[{_number(r.reason, notes)}]" for r in bad]
    return ", ".join([*good, *refused])


def _number(reason: str, notes: list[str]) -> int:
    """The number of a note, which is written once however often it is needed."""
    reason = " ".join(reason.replace("|", "\\|").split())
    if reason not in notes:
        notes.append(reason)
    return notes.index(reason) + 1


def agree(kept: Sequence[Cell], anew: Cell) -> bool:
    """Whether what came of some recipes when they were run anew is what is kept of them."""
    (old,) = (c for c in kept if (c.form, c.target) == (anew.form, anew.target))
    before = {r.recipe: r.status for r in old.recipes}
    return bool(anew.refused) == bool(old.refused) and all(
        before[r.recipe] == r.status for r in anew.recipes
    )
