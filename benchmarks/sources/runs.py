"""One form to one target, every recipe: the real command, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.sources.forms import Form
from benchmarks.zoo.runs import NEGATIVE, UNAVAILABLE, USAGE, command, error_of
from converters.recipe import RECIPES
from edge_sdk.spec import Format

Status = Literal["converted", "refused"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one recipe; ``reason`` why not, ``argmax`` the share of equal answers."""

    recipe: str
    status: Status
    size: int = 0
    argmax: float = 0.0
    reason: str = ""


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One form to one target: every recipe, or why none at all."""

    form: str
    target: Format
    recipes: tuple[Outcome, ...] = ()
    refused: str = ""


class Sources(msgspec.Struct):
    """``sources.json``: all cells, and what they were measured on."""

    cells: list[Cell] = []
    measured: dict[str, str | int] = {}


def convert(
    form: Form,
    source: str,
    target: Format,
    folder: Path,
    recipes: tuple[str, ...] = (),
    run: Callable[..., subprocess.CompletedProcess[str]] = command,
) -> Cell:
    """Run ``edge convert`` and read its answer.

    Args:
        form: which it is.
        source: as it is typed.
        target: the format.
        folder: where the pictures are.
        recipes: those to try; all that the target has, if none is named.
        run: runs ``edge``; by default in a process of its own.

    Raises:
        RuntimeError: the command crashed, which is a bug of ours.
    """
    asked = recipes or tuple(r.name for r in RECIPES.values() if target in r.formats)
    ending = "-first.npz" if form.channels_first else ".npz"
    words = ["convert", source, *form.options, "--formats", target, "--recipe", ",".join(asked)]
    words += ["--evaluate", str(folder / f"judged{ending}")]
    if any(RECIPES[name].calibrated for name in asked):
        words += ["--calibrate", str(folder / f"ranges{ending}")]
    with tempfile.TemporaryDirectory() as place:
        done = run(*words, "-o", str(Path(place) / "form-1.0.0.edge"), "--no-cache", "--json")
    if done.returncode in (0, NEGATIVE) and done.stdout.strip():
        variants = json.loads(done.stdout)["report"]["variants"]
        return Cell(form=form.name, target=target, recipes=tuple(map(_outcome, variants)))
    said = error_of(done.stderr)
    if done.returncode not in (NEGATIVE, USAGE, UNAVAILABLE) or not said:
        raise RuntimeError(f"{form.name} to {target}: {done.returncode}\n{done.stderr[-2000:]}")
    return Cell(form=form.name, target=target, refused=said)


def _outcome(variant: dict[str, Any]) -> Outcome:
    found = variant.get("agreement") or {}
    return Outcome(
        recipe=variant["recipe"],
        status=variant["status"],
        size=variant.get("size", 0),
        argmax=found.get("argmax") or 0.0,
        reason=variant.get("reason", "").partition("\n")[0],
    )
