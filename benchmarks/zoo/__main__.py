"""``make zoo``: measure what is not measured yet with this code, keep it, print the table."""

from __future__ import annotations

import argparse
import datetime
import hashlib
import os
import platform
import sys
from pathlib import Path

import msgspec

from benchmarks.zoo.models import ANIMALS, Animal
from benchmarks.zoo.results import Zoo
from benchmarks.zoo.runs import ROOT, TARGETS, Run, convert, foresee
from benchmarks.zoo.table import plain_table

RESULTS = ROOT / "benchmarks" / "results" / "zoo.json"


def main(arguments: list[str]) -> int:
    """Run; return 1 if a conversion crashed or did not end."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.zoo", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="part of a model's name: these anew"
    )
    parser.add_argument("--target", choices=TARGETS, help="this target alone")
    parser.add_argument("--keep", action="store_true", help="keep what older code measured")
    args = parser.parse_args(arguments)
    chosen = [a for a in ANIMALS if not args.names or any(n in a.name for n in args.names)]
    if not chosen:
        print(f"no such model; there are: {', '.join(a.name for a in ANIMALS)}", file=sys.stderr)
        return 2
    zoo, code = _read(), _code()
    for number, animal in enumerate(chosen, 1):
        old = {r.target: r for r in zoo.zoo if r.model == animal.name}
        fresh = [r for r in old.values() if args.keep or r.made_with == code]
        known = set() if args.names else {r.target for r in fresh}
        due = [t for t in TARGETS if t not in known and args.target in (None, t)]
        print(f"{number}/{len(chosen)} {animal.name}: {', '.join(due) or 'known'}", file=sys.stderr)
        if due:
            _measure(zoo, animal, due, code)
    names = [a.name for a in ANIMALS]
    zoo.zoo = [r for r in zoo.zoo if r.model in names]
    print(plain_table(zoo.zoo))
    failed = [r for r in zoo.zoo if r.answer == "failed"]
    print(f"{len(zoo.zoo)} conversions, {len(failed)} failed")
    return int(bool(failed))


def _measure(zoo: Zoo, animal: Animal, due: list[str], code: str) -> None:
    """Ask what is foreseen, convert, and keep each result as soon as there is one."""
    foreseen = foresee(animal)
    for target in due:
        verdict, why = foreseen.get(target, ("unforeseen", ""))
        if verdict == "does not":
            run = Run(
                model=animal.name, target=target, foreseen=verdict, answer="refused", said=why
            )
        else:
            run = convert(animal, target, verdict)
        run = msgspec.structs.replace(run, made_with=code)
        first = run.said.partition("\n")[0]
        print(f"    {target}: {run.answer} {run.seconds:.0f} s {first}", file=sys.stderr)
        _keep(zoo, run)


def _read() -> Zoo:
    return msgspec.json.decode(RESULTS.read_bytes(), type=Zoo) if RESULTS.exists() else Zoo()


def _keep(zoo: Zoo, run: Run) -> None:
    """Put the run in its place and write the file anew, whole."""
    places = {(a.name, t): n for n, (a, t) in enumerate((a, t) for a in ANIMALS for t in TARGETS)}
    others = [r for r in zoo.zoo if (r.model, r.target) != (run.model, run.target)]
    zoo.zoo = sorted([*others, run], key=lambda r: places.get((r.model, r.target), -1))
    zoo.measured = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpus": os.cpu_count() or 0,
    }
    scratch = RESULTS.with_name(".zoo.json")
    scratch.write_bytes(msgspec.json.format(msgspec.json.encode(zoo), indent=2) + b"\n")
    scratch.replace(RESULTS)


def _code() -> str:
    """The digest of all code that makes or proves a variant, and of the models' list."""
    digest = hashlib.sha256()
    for folder in ("converters", "edge_sdk", "benchmarks/zoo"):
        for path in sorted(Path(ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
