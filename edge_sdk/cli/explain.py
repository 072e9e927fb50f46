"""``edge explain``: which parts of a picture an answer rests on, drawn on the picture."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from edge_sdk.cli.auditing import add_audit, audit_of
from edge_sdk.cli.command import Outcome
from edge_sdk.cli.loading import add_loading, load_model
from edge_sdk.errors import UsageError
from edge_sdk.spec import Explained, Placement, Result, Word

SUMMARY = "show which parts of a picture a model's answer rests on"
DEFAULT_RUNS = 600


class ExplainReport(Word, frozen=True, kw_only=True):
    """What ``edge explain --json`` prints.

    Attributes:
        model: the file that was loaded, and which build of it.
        source: the picture.
        answer: to the whole picture.
        drawn: the file that the overlay went to.
        seconds: that the explanation took.
    """

    model: str
    variant: str
    placement: Placement
    source: str
    answer: Result
    explanation: Explained
    seconds: float
    drawn: str | None = None


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge explain``."""
    parser.description = f"""{SUMMARY[:1].upper()}{SUMMARY[1:]}.

Random parts of the picture are hidden, and the model is asked about each of these pictures: what
its score owes to each part is the map. It needs nothing of the model but answers, so that it works
with every engine and delegate. Of a classifier a class is explained, of a detector its surest box,
of a segmentation its mask."""
    parser.add_argument(
        "model", type=Path, metavar="MODEL", help="an .edge, or a bare .tflite or .onnx"
    )
    parser.add_argument("picture", type=Path, metavar="PICTURE", help="a picture file")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="OVERLAY.png",
        help="draw the map over the picture: what speaks for the answer glows",
    )
    parser.add_argument(
        "--class",
        dest="target",
        metavar="NAME",
        help="the class to explain, by label or number (default: the likeliest)",
    )
    parser.add_argument(
        "--runs",
        type=int,
        default=DEFAULT_RUNS,
        metavar="N",
        help=f"how often to ask the model (default {DEFAULT_RUNS}); more give less noise",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the masks (default 0)")
    parser.add_argument(
        "--hide",
        default="mean",
        metavar="WITH",
        help="what stands for a hidden part: mean (the picture's colour, default), blur, black",
    )
    add_loading(parser)
    add_audit(parser)


def run(args: argparse.Namespace) -> Outcome:
    """Load, answer, explain, draw."""
    from edge_sdk.files import check_writable
    from edge_sdk.pipeline import draw, read_picture, write_picture
    from edge_sdk.pipeline.picture_file import can_write_picture

    if args.out:
        if not can_write_picture(args.out):
            raise UsageError(
                f"{args.out} does not end as a picture.", f"--out {args.out.with_suffix('.png')}"
            )
        check_writable(args.out)
    picture = read_picture(args.picture)
    with load_model(args) as session, audit_of(args) as trail:
        started = time.perf_counter()
        explanation = session.explain(
            picture,
            args.target,
            runs=args.runs,
            seed=args.seed,
            hide=args.hide,
            progress=_progress if sys.stderr.isatty() else None,
        )
        seconds = time.perf_counter() - started
        answer = session.predict(picture)
        trail.record(session, picture, answer, args.picture, explanation=explanation)
        if args.out:
            write_picture(args.out, draw(picture, explanation))
        report = ExplainReport(
            model=str(args.model),
            variant=session.variant,
            placement=session.placement,
            source=str(args.picture),
            answer=_as_result(answer),
            explanation=explanation.word(),
            seconds=round(seconds, 3),
            drawn=str(args.out) if args.out else None,
        )
    return Outcome(report, describe(report))


def _as_result(answer: Any) -> Result:
    from edge_sdk.processing import Mask

    result: Result = answer.area() if isinstance(answer, Mask) else answer
    return result


def describe(report: ExplainReport) -> str:
    """The report for a person."""
    found = report.explanation
    lines = [f"{report.source}  {report.answer}", f"why      {found}"]
    if report.drawn:
        lines.append(f"drawn    {report.drawn}")
    lines += [
        f"runs     {found.runs} in {report.seconds:.1f} s, seed {found.seed}; "
        f"the map's standard error is {found.noise:.2g}",
        f"{report.variant} on {report.placement}",
    ]
    return "\n".join(lines)


def _progress(done: int, count: int) -> None:
    """A line on a terminal's stderr, gone when all is done."""
    text = "" if done == count else f"{done}/{count} runs"
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
