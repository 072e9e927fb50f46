"""How long one waits before anything happens: ``edge --help`` and ``import edge_sdk``.

Programs are started anew, in turns with the bare interpreter, so that what the disk's cache and the
neighbours do falls on all alike; a ratio is one of medians. An import is timed inside a fresh
process that has imported numpy before. What was promised is milliseconds on a machine that is left
alone, so two of the ratios are shares of a promise, which 1.0 uses up, judged by the fastest run.

    python benchmarks/start_up.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks._processes import environment

RUNS = 31
QUICK_RUNS = 7
HELP_MS = 200
IMPORT_MS = 30


def main() -> None:
    parser = argparse.ArgumentParser(prog="start_up")
    parser.add_argument("--quick", action="store_true", help="a rough answer in a few seconds")
    runs = QUICK_RUNS if parser.parse_args().quick else RUNS
    took = measure(
        {
            "python": lambda: started(sys.executable, "-c", "pass"),
            "edge --help": lambda: started(*edge(), "--help"),
            "import": lambda: imported("edge_sdk"),
            "load": lambda: imported("edge_sdk.runtime"),
        },
        runs,
    )
    median = {name: statistics.median(times) for name, times in took.items()}
    fastest = {name: min(times) for name, times in took.items()}
    for name in took:
        print(f"{name:12}{median[name]:8.1f} ms here, {fastest[name]:.1f} at best", file=sys.stderr)
    result = {
        "about": "starting edge, and importing edge_sdk after numpy",
        "peer": "python -c pass, or the milliseconds promised",
        "ratios": {
            "edge --help over python": round(median["edge --help"] / median["python"], 2),
            f"edge --help of {HELP_MS} ms": round(fastest["edge --help"] / HELP_MS, 3),
            f"import edge_sdk of {IMPORT_MS} ms": round(fastest["import"] / IMPORT_MS, 3),
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


def measure(takers: dict[str, Callable[[], float]], runs: int) -> dict[str, list[float]]:
    """What each taker answers, in turns, after one of each to warm up."""
    for taker in takers.values():
        taker()
    times: dict[str, list[float]] = {name: [] for name in takers}
    for _ in range(runs):
        for name, taker in takers.items():
            times[name].append(taker())
    return times


def started(*command: str) -> float:
    """Milliseconds from the start of a command to its exit."""
    start = perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment())
    return (perf_counter() - start) * 1000


def imported(module: str) -> float:
    """Milliseconds that importing a module takes in a fresh process, numpy being there already."""
    code = (
        "import numpy; from time import perf_counter; start = perf_counter();"
        f"import {module}; print((perf_counter() - start) * 1000)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, env=environment())
    return float(done.stdout)


if __name__ == "__main__":
    main()
