"""Write the pages that are made from the code, and the table of conversion.md that is.

    scripts/docs            write them
    scripts/docs --check    say which are out of date, exit 1 if any is

A page that can rot is generated, and a test runs ``--check``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import msgspec

import benchmarks.sources.table
import benchmarks.zoo.table
from edge_sdk.cli.main import ENTRY_POINTS, parser_of, parsers_below

DOCS = Path(__file__).parent
RESULTS = DOCS.parent / "benchmarks" / "results"

RESULT_WORDS = {
    "explain": "edge_sdk.cli.explain:ExplainReport",
    "fleet enroll": "edge_sdk.spec.enrolment:Enrolment",
    "fleet remove": "fleet.words:RemovalReport",
    "fleet publish": "fleet.words:ArtifactReport",
    "fleet rollout status": "fleet.words:RolloutReport",
    "fleet status": "fleet.words:FleetReport",
    "audit verify": "edge_sdk.audit.chain:AuditReport",
    "bench": "edge_sdk.spec.bench:BenchReport",
    "convert": "converters.conversion:Conversion",
    "demo video": "edge_sdk.demos.video_report:VideoReport",
    "debug": "converters.debug:DebugReport",
    "doctor": "edge_sdk.machine.checkup:Diagnosis",
    "inspect": "edge_sdk.cli.inspect:Inspection",
    "preflight": "converters.preflight.words:Preflight",
    "run": "edge_sdk.cli.run_report:RunReport",
    "toolchain install": "converters.toolchain_cli:Entry",
    "toolchain list": "converters.toolchain_cli:Entries",
    "toolchain remove": "converters.toolchain_cli:Removal",
    "verify": "edge_sdk.cli.verify:Verification",
}

EXIT_CODES = """\
| exit code | |
|---|---|
| 0 | done |
| 1 | a negative verdict: parity missed, a golden vector failed |
| 2 | usage, or bad input |
| 3 | something is not available: an extra, an engine, a delegate, room on the disk |
| 4 | an artifact that is corrupt or not to be trusted |
| 70 | a bug of ours |
| 130 | interrupted; nothing is left half done |
"""


def commands_page() -> str:
    """Every command's help and the fields of its JSON."""
    os.environ["COLUMNS"] = "88"
    parts = [
        "# Commands\n\n<!-- made by scripts/docs -->\n\n"
        "Results go to stdout, progress and errors to stderr; nothing is ever asked. With\n"
        "`--json` stdout is one object, and an error is one on stderr (`error`, `hint`,\n"
        "`exit_code`).\n",
        EXIT_CODES,
    ]
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        parts += _command(point.name, parser_of(point.name, point.load()), "##")
    return "\n".join(parts)


def _command(name: str, parser: argparse.ArgumentParser, heading: str) -> list[str]:
    """A command's help and result, and those of the commands below it."""
    parts = [f"{heading} edge {name}\n\n```\n{parser.format_help()}```\n"]
    if name in RESULT_WORDS:
        parts.append(_fields(_word(RESULT_WORDS[name])))
    for word, below in parsers_below(parser).items():
        parts += _command(f"{name} {word}", below, "###")
    return parts


def _word(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _fields(word: Any) -> str:
    rows = [f"| `{field.name}` | `{_type(field.type)}` |" for field in msgspec.structs.fields(word)]
    title = f"`--json` prints one `{word.__name__}`; `{word.__module__}` explains each field:"
    return "\n".join([title, "", "| field | type |", "|---|---|", *rows, ""])


def _type(kind: Any) -> str:
    """A field's type as JSON has it: ``[Measurement]``, ``text or null``."""
    text = kind.__name__ if isinstance(kind, type) and not hasattr(kind, "__args__") else str(kind)
    text = re.sub(r"(\w+\.)+(\w+)", r"\2", text)
    text = re.sub(r"tuple\[(.*), \.\.\.\]", r"[\1]", text)
    for python, json_word in (("None", "null"), ("str", "text"), (" | ", " or ")):
        text = text.replace(python, json_word)
    return text


def benchmarks_page() -> str:
    """Every result that is kept, as ratios."""
    parts = [
        "# Benchmarks\n\n<!-- made by scripts/docs from benchmarks/results -->\n\n"
        "Ratios against a named peer measured in the same run; 1.0 is the peer. `make bench`\n"
        "measures them anew on your machine. The load is how many processes wanted the processors\n"
        "when it began; `--alone` is before all of them, at real-time priority.\n"
    ]
    for path in sorted(RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        if "ratios" in result:
            parts.append(_result(path.stem, result))
    parts += [ZOO, benchmarks.zoo.table.page(RESULTS)]
    return "\n".join(parts)


def _result(name: str, result: dict[str, Any]) -> str:
    measured, limits = result["measured"], result.get("limits", {})
    rows = [
        f"| {what} | {ratio:.3f} | {_limit(ratio, limits.get(what))} |"
        for what, ratio in result["ratios"].items()
    ]
    load = f", load {measured['load']:g}" if "load" in measured else ""
    alone = measured.get("alone", False)
    return "\n".join(
        [
            f"## {name}\n",
            f"{result['about']} `scripts/bench {'--alone ' if alone else ''}{name}`\n",
            f"1.0 is {result['peer']}. {measured['date']}, Python {measured['python']}, "
            f"{measured['machine']}, {measured['cpus']} cores{load}.\n",
            "| | ratio | limit |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )


def _limit(ratio: float, limit: float | None) -> str:
    if limit is None:
        return ""
    return f"{limit:g}" if ratio <= limit else f"{limit:g}, **over**"


ZOO = """\
## The zoo

Real models through every target, each by the real `edge convert` in a process of its own, on real
inputs (`make zoo`). *converts*: every recipe that was asked for is proven; *in part*: some are, the
others are refused with the number that fell short; *refused*: none, and why. Differences are the
greatest of any output, in its own unit; *same argmax* is the share of inputs with the original's.
"""


def conversion_page() -> str:
    """As it is written, with the table of what became of every source made anew."""
    page = (DOCS / "conversion.md").read_text(encoding="utf-8")
    return benchmarks.sources.table.filled(page, RESULTS)


PAGES = {
    "commands.md": commands_page,
    "benchmarks.md": benchmarks_page,
    "conversion.md": conversion_page,
}


def main(arguments: list[str]) -> int:
    """Write, or with ``--check`` only compare."""
    stale = []
    for name, page in PAGES.items():
        path, text = DOCS / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    if stale and "--check" in arguments:
        print(f"out of date: {', '.join(stale)}; scripts/docs writes them")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
