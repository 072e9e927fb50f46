"""``edge fleet bench``: what models cost on the devices, as the devices measured it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.files import whole_file
from edge_sdk.spec import encode
from edge_sdk.text import bytes_text, nearest, printable, table
from fleet.client import find_fleet
from fleet.words import BenchEntry


def add_to(commands: Any) -> Iterator[argparse.ArgumentParser]:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="what models cost on the devices, as they measured it",
        description="The newest measurement of each model on each device. A device takes one with "
        "`edge agent bench APP`.",
    )
    parser.add_argument("device", metavar="DEVICE", nargs="?", default="", help="on this one alone")
    parser.add_argument(
        "model", metavar="NAME[@VERSION]", nargs="?", default="", help="of this one alone"
    )
    parser.add_argument(
        "--save",
        type=Path,
        metavar="FILE.json",
        help="write the newest of them as `edge bench --json` does, for "
        "`edge convert --budget latency<=5ms@FILE.json`",
    )
    parser.set_defaults(act=run)
    yield parser


def run(args: argparse.Namespace) -> Outcome:
    """List them, or save one."""
    fleet = find_fleet(args.data, args.api, args.token_file)
    where = f"?device={quote(args.device, safe='')}" if args.device else ""
    known = fleet.get(f"/benches{where}", list[BenchEntry])
    found = [each for each in known if args.model in ("", each.model, each.model.partition("@")[0])]
    if args.model and not found:
        raise UsageError(
            f"{args.device} has measured no {args.model!r}.",
            nearest(args.model, sorted({each.model for each in known})),
        )
    text = _describe(found)
    if args.save is not None:
        if not found:
            raise UsageError(
                "Nothing has been measured yet.", "edge agent bench APP   # on the device"
            )
        with whole_file(args.save) as file:
            file.write(encode(found[0].report))
        text += f"\n\n{found[0].model} on {found[0].device} is in {args.save}"
    return Outcome({"benches": found}, text)


def _describe(found: list[BenchEntry]) -> str:
    if not found:
        return "Nothing has been measured yet: edge agent bench APP   # on a device"
    rows = []
    for each in found:
        report = each.report
        where = (each.device, f"{report.profile.name}, {report.profile.cpu}", each.model)
        age_h = (time.time_ns() // 1_000_000 - each.received_ms) / 3_600_000
        ago = f"{age_h:.0f} h ago" if age_h >= 1 else f"{age_h * 60:.0f} min ago"
        for measured in report.measurements:
            energy = measured.energy_mj
            rows.append(
                tuple(
                    printable(cell)
                    for cell in (
                        *where,
                        str(measured.configuration),
                        f"{measured.timings.p50_ms:.3g}",
                        f"{measured.timings.p99_ms:.3g}",
                        f"{measured.timings.per_second:.0f}",
                        bytes_text(max(measured.memory_growth_bytes, 0)),
                        "" if energy is None else f"{energy:.3g}",
                        "throttled" if measured.throttled else "",
                        ago,
                    )
                )
            )
            where, ago = ("", "", ""), ""
    header = (
        *("device", "machine", "model", "configuration", "p50 ms", "p99 ms", "calls/s"),
        *("memory", "mJ", "", "measured"),
    )
    return table(header, rows, "<<<<>>>>><<")
