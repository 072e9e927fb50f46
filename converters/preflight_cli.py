"""``edge preflight``: what will and won't convert, per operation, in seconds."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.cli import check_python, shape_option, words
from edge_sdk.cli.command import Outcome
from edge_sdk.text import printable, table

if TYPE_CHECKING:
    from converters.preflight import Forecast, Preflight, Problem

SUMMARY = "say what of a model will convert, and what won't and why, in seconds"


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge preflight``."""
    add = parser.add_argument
    add("source", metavar="SOURCE", help="what edge convert takes")
    add("--formats", default="", metavar="F,F", help="tflite, coreml, onnx (default: all)")
    add(
        "--input",
        action="append",
        default=[],
        metavar="NAME:SHAPE",
        help="fix an open axis: image:1x224x224x3",
    )
    add("--trust-code", action="store_true", help="allow the source to run Python code of its own")
    parser.epilog = (
        "Exit code 0 if every format of --formats converts, or, without --formats, if any does;\n"
        "else 1. How near a build's numbers are to the original's is for edge convert to measure."
    )


def run(args: argparse.Namespace) -> Outcome:
    """Look, and tell what was seen."""
    check_python("preflight")
    from converters.preflight import preflight
    from converters.progress import progress
    from converters.workshop import tidied

    with tidied(), progress(sys.stderr) as on_step:
        found = preflight(
            args.source,
            formats=words(args.formats),
            shapes=dict(shape_option(text) for text in args.input),
            trust_code=args.trust_code,
            on_step=on_step,
        )
    given = [word for text in args.input for word in ("--input", text)]
    given += ["--trust-code"] if args.trust_code else []
    return Outcome(found, describe(found, args.source, given), 0 if found.passed else 1)


def describe(found: Preflight, source: str, given: Sequence[str] = ()) -> str:
    """The preflight for a person: a line per target, a paragraph per problem, the next command.

    Args:
        found: what was seen.
        source: as it was typed.
        given: options that it needs to be opened, which the next command needs too.
    """
    tensors = [*((t, "in ") for t in found.signature.inputs)]
    tensors += [(t, "out") for t in found.signature.outputs]
    lines = [f"{found.source} ({found.source_format})"]
    lines += [f"  {way}  {tensor}" for tensor, way in tensors]
    header = ("target", "verdict", "operations", "seconds", "asked")
    lines += ["", table(header, map(_row, found.targets), "<<>><")]
    for target in found.targets:
        for problem in target.problems:
            lines += ["", *_paragraph(target, problem)]
    good = [t.format for t in found.targets if t.verdict in ("converts", "falls back")]
    if good:
        name = Path(source.rpartition(":")[2]).stem.lower()
        command = ["edge", "convert", source, *given, "-o", f"{name}-1.0.0.edge"]
        # Its own format alone is foretold as wrapped, for which open axes may stay open.
        if given or good != [found.source_format]:
            command += ["--formats", ",".join(good)]
        lines += ["", f"next: {shlex.join(command)}"]
    return "\n".join(printable(line) for line in "\n".join(lines).splitlines())


def _row(target: Forecast) -> tuple[str, ...]:
    count = str(target.operations) if target.operations else ""
    return (target.format, target.verdict, count, f"{target.seconds:.1f}", target.checked_by)


def _paragraph(target: Forecast, problem: Problem) -> list[str]:
    times = f" x{problem.count}" if problem.count > 1 else ""
    lines = [f"{target.format}: {problem.operation}{times}".rstrip(": ")]
    if problem.where:
        more = problem.count - len(problem.where)
        tail = f" and {more} more" if more > 0 else ""
        lines.append(f"  in     {', '.join(problem.where)}{tail}")
    lines.append(f"  why    {problem.what}")
    if problem.remedy:
        first, *rest = problem.remedy.splitlines()
        lines += [f"  remedy {first}", *(f"         {line}" for line in rest)]
    return lines
