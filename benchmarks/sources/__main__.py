"""``make table``: run what is asked for, keep it, and say what came of it."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
from pathlib import Path

import msgspec

from benchmarks.sources.forms import FORMS, write_pictures
from benchmarks.sources.runs import Cell, Sources, convert
from benchmarks.zoo.runs import ROOT
from converters.recipe import FORMATS
from edge_sdk.files import whole_file

RESULTS = ROOT / "benchmarks" / "results" / "sources.json"


def main(arguments: list[str]) -> int:
    """Run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sources", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FORM", help="part of a form's name: these")
    parser.add_argument("--target", choices=FORMATS, help="this format alone")
    args = parser.parse_args(arguments)
    chosen = [f for f in FORMS if not args.names or any(n in f.name for n in args.names)]
    if not chosen:
        print(f"no such form; there are: {', '.join(f.name for f in FORMS)}", file=sys.stderr)
        return 2
    kept = (
        msgspec.json.decode(RESULTS.read_bytes(), type=Sources) if RESULTS.exists() else Sources()
    )
    with tempfile.TemporaryDirectory(prefix="edgeloop-sources-") as name:
        folder = Path(name)
        write_pictures(folder)
        for form in chosen:
            source = form.make(folder)
            for target in FORMATS if args.target is None else (args.target,):
                cell = convert(form, source, target, folder)
                good = [r.recipe for r in cell.recipes if r.status == "converted"]
                print(f"{form.name} to {target}: {', '.join(good) or cell.refused}", flush=True)
                _keep(kept, cell)
    return 0


def _keep(kept: Sources, cell: Cell) -> None:
    """Put the cell in its place and write the file anew, whole."""
    order = [(form.name, target) for form in FORMS for target in FORMATS]
    others = [c for c in kept.cells if (c.form, c.target) != (cell.form, cell.target)]
    there = [c for c in [*others, cell] if (c.form, c.target) in order]
    kept.cells = sorted(there, key=lambda c: order.index((c.form, c.target)))
    kept.measured = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count() or 0,
    }
    text = msgspec.json.format(msgspec.json.encode(kept), indent=1)
    with whole_file(RESULTS) as file:
        file.write(text + b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
