"""``edge debug``: the layers of a quantized variant, the worst first, as a table or a drawing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.text import printable, table

if TYPE_CHECKING:
    from converters.debug import DebugReport

SUMMARY = "rank the layers of a quantized variant by their quantization error"
SHOWN = 20


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``edge debug``."""
    add = parser.add_argument
    add("artifact", type=Path, metavar="X.edge")
    add("--variant", metavar="ID", help="the quantized one (default: the first there is)")
    add(
        "--against",
        metavar="ID|SOURCE",
        help="the float one: a variant, or the model the artifact was made from (default: the "
        "variant of that format in fp32, or fp16)",
    )
    add("--inputs", metavar="DATA", help="real inputs (default: the artifact's golden vectors)")
    add("--plot", type=Path, metavar="FILE", help="draw it: a .html or .svg file")
    add("--all", action="store_true", help=f"list every layer, not the {SHOWN} worst")


def run(args: argparse.Namespace) -> Outcome:
    """Compare, tell and draw."""
    from converters.debug import compare_layers
    from converters.report.layers import layers_page, layers_svg
    from converters.workshop import tidied
    from edge_sdk.artifact import Artifact
    from edge_sdk.files import check_writable, whole_file

    if args.plot is not None:
        if args.plot.suffix not in (".html", ".svg"):
            raise UsageError(f"{args.plot} is neither .html nor .svg.", "--plot layers.html")
        check_writable(args.plot)
    with tidied(), Artifact(args.artifact) as artifact:
        report = compare_layers(
            artifact, variant=args.variant, against=args.against, inputs=args.inputs
        )
    if args.plot is not None:
        draw = layers_page if args.plot.suffix == ".html" else layers_svg
        with whole_file(args.plot) as file:
            file.write(draw(report).encode())
        print(f"drew {args.plot}", file=sys.stderr)
    return Outcome(report, describe(report, None if args.all else SHOWN))


def describe(report: DebugReport, most: int | None) -> str:
    """The report for a person."""
    from converters.report.layers import first_name

    shown = report.layers[:most]
    header = ("layer", "operations", "SQNR", "typical channel", "adds", "")
    rows = [
        (
            first_name(layer.name),
            layer.op,
            f"{layer.sqnr_db:.1f} dB",
            f"{layer.typical_db:.1f} dB",
            f"{layer.added:.2%}",
            "<- look here first" if layer.name == report.culprit else "",
        )
        for layer in shown
    ]
    lines = [
        f"{report.variant} beside {report.against}, on {report.samples} samples of {report.inputs}",
        "",
        table(header, rows, "<<>>><"),
        "",
        *_meaning(report, len(shown)),
    ]
    return "\n".join(printable(line) for line in "\n".join(lines).splitlines())


def _meaning(report: DebugReport, shown: int) -> Iterator[str]:
    if more := len(report.layers) - shown:
        yield f"and {more} better ones: --all"
    yield "SQNR: signal to quantization noise; 20 dB is noise of 1 % of its power, 0 dB as much."
    yield "A layer adds what is beyond the noisiest tensor it reads; noise travels on."
    if report.culprit is not None:
        yield "next: the recipe 'mixed' leaves such layers in float: edge convert … --recipe mixed"
