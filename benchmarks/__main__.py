"""Run benchmarks and keep their results: ``scripts/bench [--alone] [NAME…]``.

On a machine that others use too, ratios of wall time say more of them than of us. With ``--alone``
(as root, on Linux) the benchmarks run at real-time priority: who else wants the processors waits,
but for a twentieth of the time, which the kernel keeps back.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
ALONE = "--alone"


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 if one failed or a ratio is over its limit."""
    known = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    if ALONE in names:
        names = [name for name in names if name != ALONE]
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            print(f"scripts/bench: {ALONE} is for root")
            return 2
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"scripts/bench: no benchmark {unknown[0]!r}; there are: {', '.join(known)}")
        return 2
    failed = False
    for name in names or known:
        print(f"{name} …", file=sys.stderr)
        load = os.getloadavg()[0]
        done = subprocess.run(
            [sys.executable, "-P", FOLDER / f"{name}.py"],
            stdout=subprocess.PIPE,
            cwd=FOLDER.parent,
            check=False,
        )
        if done.returncode != 0:
            print(f"{name}: failed with exit code {done.returncode}, see above")
            failed = True
            continue
        # The last line alone: engines print on stdout as they please.
        result = json.loads(done.stdout.splitlines()[-1])
        keep(name, result, load)
        failed |= not show(name, result)
    return int(failed)


def keep(name: str, result: dict[str, object], load: float) -> None:
    """Write the result, with what it was measured on.

    Args:
        name: the benchmark's.
        result: what it printed; extended here.
        load: how many processes wanted the processors when it began.
    """
    today = datetime.datetime.now(tz=datetime.UTC).date()
    result["measured"] = {
        "date": today.isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "load": round(load, 1),
        "alone": os.sched_getscheduler(0) == os.SCHED_FIFO,
    }
    RESULTS.mkdir(exist_ok=True)
    scratch = RESULTS / f".{name}.json"
    scratch.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    scratch.replace(RESULTS / f"{name}.json")


def show(name: str, result: dict[str, dict[str, float]]) -> bool:
    """Print the ratios; return whether all are within their limits."""
    print(f"{name}: {result['about']}; 1.0 is {result['peer']}")
    limits = result.get("limits", {})
    within = True
    for what, ratio in result["ratios"].items():
        limit = limits.get(what)
        over = limit is not None and ratio > limit
        within &= not over
        verdict = "" if limit is None else f"  {'over' if over else 'within'} {limit:g}"
        print(f"  {what:24}{ratio:8.3f}{verdict}")
    return within


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
