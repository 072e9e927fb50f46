"""One conversion of the zoo: the real command, in a process of its own, and what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.zoo.models import INPUTS, Animal
from converters.recipe import RECIPES
from examples.assets import cache

TARGETS = ("tflite", "onnx", "coreml")
LIMIT_S = 900
ROOT = Path(__file__).resolve().parents[2]
NEGATIVE, USAGE, UNAVAILABLE, UNTRUSTED = 1, 2, 3, 4

Answer = Literal["converts", "in part", "refused", "failed"]


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One variant: its size in bytes and its parity, or why there is none."""

    recipe: str
    status: str
    size: int = 0
    max_difference: float | None = None
    argmax: float | None = None
    on: str = ""
    reason: str = ""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one model and one target.

    Attributes:
        foreseen: what ``edge preflight`` said.
        answer: all variants converted, some of them, none but with a reason, or a bug.
        said: the reason, in the command's own words.
        seconds: of the whole command, imports and proof included.
        made_with: the digest of the code that did it.
    """

    model: str
    target: str
    foreseen: str
    answer: Answer
    said: str = ""
    builds: tuple[Build, ...] = ()
    seconds: float = 0.0
    made_with: str = ""


def foresee(animal: Animal) -> dict[str, tuple[str, str]]:
    """Verdict and reason by target; all unforeseen where preflight does not look at such a source.

    A source that preflight refuses is refused by ``edge convert`` too, which is asked anyway.
    """
    done = command("preflight", animal.place(), *animal.options, "--json")
    if done.returncode in (0, NEGATIVE) and done.stdout:
        targets = json.loads(done.stdout)["targets"]
        return {
            t["format"]: (t["verdict"], "; ".join(p["what"] for p in t["problems"]))
            for t in targets
        }
    code = done.returncode
    verdict = "unforeseen" if code in (USAGE, UNAVAILABLE, NEGATIVE, UNTRUSTED) else f"exit {code}"
    return {target: (verdict, "") for target in TARGETS}


def convert(animal: Animal, target: str, foreseen: str) -> Run:
    """Run ``edge convert`` to one target and read its answer."""
    recipes = [name for name in animal.recipes.split(",") if target in RECIPES[name].formats]
    asked = ("--formats", target, "--recipe", ",".join(recipes))
    feed = f"{INPUTS}:{animal.feed}"
    words = [animal.place(), *animal.options, *(() if animal.wrapped == target else asked)]
    words += ["--evaluate", feed] if animal.feed else []
    if any(RECIPES[name].calibrated for name in recipes):
        words += ["--calibrate", feed]
    since = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="edgeloop-zoo-") as folder:
        output = Path(folder) / "animal-1.0.0.edge"
        try:
            done = command("convert", *words, "-o", str(output), "--no-cache", "--json")
            answer, said, builds = read(done, output.exists())
        except subprocess.TimeoutExpired:
            answer, said, builds = "failed", f"no answer after {LIMIT_S} s", ()
    return Run(
        model=animal.name,
        target=target,
        foreseen=foreseen,
        answer=answer,
        said=said,
        builds=builds,
        seconds=round(time.perf_counter() - since, 1),
    )


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """``edge``, in a fresh process, without a word of any engine's in between."""
    return subprocess.run(
        [sys.executable, "-m", "edge_sdk", *words],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=LIMIT_S,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=False,
    )


def read(
    done: subprocess.CompletedProcess[str], written: bool
) -> tuple[Answer, str, tuple[Build, ...]]:
    """Answer, reason and variants of a command that has ended."""
    said = error_of(done.stderr)
    if "Traceback (most recent call last)" in done.stderr:
        return "failed", done.stderr.strip().splitlines()[-1], ()
    if done.returncode in (0, NEGATIVE) and done.stdout.strip():
        report = json.loads(done.stdout)["report"]
        builds = tuple(_build(variant) for variant in report["variants"])
        good = [b for b in builds if b.status != "refused"]
        if written != (done.returncode == 0):
            return "failed", f"exit code {done.returncode}, artifact written: {written}", builds
        if not builds:
            return "refused", report["input_check"]["said"], ()
        answer: Answer = "refused" if not good else "converts" if good == [*builds] else "in part"
        return answer, "", builds
    if done.returncode in (NEGATIVE, USAGE, UNAVAILABLE, UNTRUSTED) and said and not written:
        return "refused", said, ()
    return "failed", f"exit code {done.returncode}: {said or done.stderr.strip()[-300:]}", ()


def _build(variant: dict[str, Any]) -> Build:
    found = variant.get("agreement") or {}
    return Build(
        recipe=variant["recipe"],
        status=variant["status"],
        size=variant.get("size", 0),
        max_difference=found.get("max_difference"),
        argmax=found.get("argmax"),
        on=found.get("on", ""),
        reason=_portable(variant.get("reason", "").partition("\nThe engine said:")[0]),
    )


def _portable(said: str) -> str:
    """A message without where the assets lie on this machine."""
    return said.replace(f"{cache()}{os.sep}", "")


def error_of(stderr: str) -> str:
    """The message of the command's JSON error, with the first line of its hint."""
    for line in reversed(stderr.splitlines()):
        if line.startswith("{"):
            told = json.loads(line)
            hint = str(told.get("hint", "")).partition("\n")[0]
            return _portable(f"{told.get('error', '')} {hint}".strip())
    return ""
