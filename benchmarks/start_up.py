"""How long one waits before anything happens: ``edge --help`` and ``import edge_sdk``.

Every program is started anew, in turns with the bare interpreter and with one that imports numpy
alone, so that what the disk's cache and the neighbours do falls on all alike; a ratio is one of
medians. What was promised is milliseconds on a machine that is left alone, so two of the ratios are
shares of a promise, which 1.0 uses up, and are judged by the fastest start of each program.

    python -m benchmarks.start_up [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter

RUNS = 31
QUICK_RUNS = 7
HELP_MS = 200
IMPORT_MS = 30


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.start_up")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    runs = QUICK_RUNS if parser.parse_args().quick else RUNS
    took = measure(
        {
            "python": [sys.executable, "-c", "pass"],
            "edge --help": [*edge(), "--help"],
            "numpy": [sys.executable, "-c", "import numpy"],
            "edge_sdk": [sys.executable, "-c", "import numpy, edge_sdk"],
            "load": [sys.executable, "-c", "import numpy; from edge_sdk import load"],
        },
        runs,
    )
    median = {name: statistics.median(times) for name, times in took.items()}
    fastest = {name: min(times) for name, times in took.items()}
    over_numpy = fastest["edge_sdk"] - fastest["numpy"]
    for name in took:
        print(f"{name:12}{median[name]:8.1f} ms here, {fastest[name]:.1f} at best", file=sys.stderr)
    result = {
        "about": "starting edge, and importing edge_sdk after numpy",
        "peer": "python -c pass, or the milliseconds promised",
        "ratios": {
            "edge --help over python": round(median["edge --help"] / median["python"], 2),
            f"edge --help of {HELP_MS} ms": round(fastest["edge --help"] / HELP_MS, 3),
            f"import edge_sdk of {IMPORT_MS} ms": round(over_numpy / IMPORT_MS, 3),
        },
        "limits": {
            f"edge --help of {HELP_MS} ms": 1.0,
            f"import edge_sdk of {IMPORT_MS} ms": 1.0,
        },
    }
    print(json.dumps(result))


def edge() -> list[str]:
    """The installed command beside this Python, or the module where it is not installed."""
    command = Path(sys.executable).with_name("edge")
    return [str(command)] if command.exists() else [sys.executable, "-m", "edge_sdk"]


def measure(commands: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each start of each command until its exit, after one start to warm up."""
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            start = perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if run:
                times[name].append((perf_counter() - start) * 1000)
    return times


if __name__ == "__main__":
    main()
