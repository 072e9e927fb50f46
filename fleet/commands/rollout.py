"""``edge fleet rollout …``: bring a version to devices, carefully."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from msgspec.structs import fields

from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.text import printable, table
from fleet.client import FleetClient, find_fleet
from fleet.core.gate import Limits
from fleet.core.rollout import FINAL, Pace, Stage
from fleet.words import RolloutReport, RolloutRequest

ACTIONS = {
    "pause": "stop the clock: devices stay as they are",
    "resume": "let a paused rollout go on",
    "abort": "end it: each device keeps what it serves",
    "rollback": "take it back: each device returns to what it served before",
}
BAD = frozenset({Stage.ROLLING_BACK, Stage.ROLLED_BACK})
STOPPED = frozenset({*FINAL, Stage.PAUSED})
POLL_S = 0.5


def add_to(commands: Any) -> Iterator[argparse.ArgumentParser]:
    """Add the commands."""
    rollout = commands.add_parser("rollout", help="bring a version to devices, carefully")
    doing = rollout.add_subparsers(metavar="COMMAND", required=True, title="commands")
    yield _add_start(doing)
    status = doing.add_parser("status", help="where it stands and why")
    status.add_argument("rollout", metavar="ID", nargs="?", help="all rollouts, if not named")
    _add_wait(status)
    status.set_defaults(act=run_status)
    yield status
    for name, text in ACTIONS.items():
        parser = doing.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        parser.add_argument("rollout", metavar="ID")
        parser.set_defaults(act=partial(run_action, name))
        yield parser


def _add_start(doing: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = doing.add_parser(
        "start",
        help="begin a rollout",
        description="Canaries run the version beside the one that serves, then serve it, then "
        "all others do; backwards by itself if the numbers are bad.",
    )
    parser.add_argument("artifact", metavar="NAME@VERSION")
    parser.add_argument("--app", help="the application that is to run it (its NAME)")
    parser.add_argument(
        "--to", metavar="SELECTOR", default="all", help="all, pi-1,pi-2 or site=berlin (all)"
    )
    parser.add_argument("--canary", metavar="SHARE", type=_share, help="go first (5%%)")
    parser.add_argument(
        "--limit",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="max_disagreement=0.1, soak_s=60, …; repeatable",
    )
    _add_wait(parser)
    parser.set_defaults(act=run_start)
    return parser


def _add_wait(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--wait", action="store_true", help="until it is over or paused; 1 if it was rolled back"
    )


def _share(text: str) -> float:
    """``5%`` or ``0.05``."""
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; write 5%")
    return share


def run_start(args: argparse.Namespace) -> Outcome:
    """Begin."""
    given: dict[str, float] = dict(_limit(text) for text in args.limit)
    if args.canary is not None:
        given["canary_share"] = args.canary
    request = RolloutRequest(
        artifact=args.artifact,
        app=args.app or args.artifact.partition("@")[0],
        to=args.to,
        limits=Limits(**_of(Limits, given)),
        pace=Pace(**_of(Pace, given)),
    )
    fleet = _fleet(args)
    begun = fleet.post("/rollouts", request, RolloutReport)
    if not args.wait:
        return Outcome(begun, text_of(begun))
    return _ended(partial(_read, fleet, begun.rollout.id))


def _limit(text: str) -> tuple[str, float]:
    from edge_sdk.text import nearest

    name, _, value = text.partition("=")
    known = [field.name for kind in (Limits, Pace) for field in fields(kind)]
    if name not in known:
        raise UsageError(f"There is no limit {name!r}.", nearest(name, known))
    try:
        return name, float(value)
    except ValueError as error:
        raise UsageError(f"{value!r} is no number for {name}.") from error


def _of(kind: Any, given: dict[str, float]) -> dict[str, Any]:
    """Those of ``given`` that ``kind`` has, whole numbers where it has them."""
    return {
        field.name: int(given[field.name]) if isinstance(field.default, int) else given[field.name]
        for field in fields(kind)
        if field.name in given
    }


def run_action(action: str, args: argparse.Namespace) -> Outcome:
    """pause, resume, abort or rollback."""
    report = _fleet(args).post(f"/rollouts/{args.rollout}/{action}", None, RolloutReport)
    return Outcome(report, text_of(report))


def run_status(args: argparse.Namespace) -> Outcome:
    """One rollout, waited for if so wished, or all."""
    fleet = _fleet(args)
    if args.rollout is None:
        if args.wait:
            raise UsageError("Which rollout is to be waited for?", "edge fleet rollout status")
        reports = fleet.get("/rollouts", list[RolloutReport])
        return Outcome({"rollouts": reports}, _list(reports))
    read = partial(_read, fleet, args.rollout)
    if args.wait:
        return _ended(read)
    report = read()
    return Outcome(report, text_of(report), _exit_code(report))


def _read(fleet: FleetClient, rollout: str) -> RolloutReport:
    return fleet.get(f"/rollouts/{rollout}", RolloutReport)


def _ended(read: Callable[[], RolloutReport]) -> Outcome:
    """Look until it is over or paused; what it does meanwhile goes to stderr."""
    said = None
    while (report := read()).rollout.stage not in STOPPED:
        if report.rollout.stage is not said:
            said = report.rollout.stage
            print(f"{report.rollout.id} is {said.value} ...", file=sys.stderr, flush=True)
        time.sleep(POLL_S)
    return Outcome(report, text_of(report), _exit_code(report))


def _exit_code(report: RolloutReport) -> int:
    return 1 if report.rollout.stage in BAD else 0


def _fleet(args: argparse.Namespace) -> FleetClient:
    return find_fleet(args.data, args.api, args.token_file)


def _list(reports: list[RolloutReport]) -> str:
    if not reports:
        return "There has been no rollout yet."
    return table(
        ("rollout", "artifact", "to", "stage", "why"),
        [
            (
                r.rollout.id,
                f"{r.rollout.candidate.name}@{r.rollout.candidate.version}",
                r.rollout.selector,
                r.rollout.stage.value,
                printable(r.rollout.reason),
            )
            for r in reports
        ],
    )


def text_of(report: RolloutReport) -> str:
    """A rollout for people: where it stands, its devices, its evidence."""
    rollout = report.rollout
    lines = [
        f"{rollout.id}: {rollout.candidate.name}@{rollout.candidate.version} to "
        f"{rollout.selector} is {rollout.stage.value}"
        + (f" ({printable(rollout.reason)})" if rollout.reason else ""),
        f"  canaries  {', '.join(report.canaries)} (of {len(report.devices)})",
    ]
    lines += [f"  {line.outcome.value:<12}  {line.text()}" for line in report.evidence]
    for device, place in report.places.items():
        lines.append(f"  {device}: {place}")
        lines += [f"    {printable(problem)}" for problem in report.problems.get(device, ())]
    return "\n".join(lines)
