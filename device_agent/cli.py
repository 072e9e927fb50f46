"""``edge agent``: run the program on this device, ask it how it is, take a version back."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edge_sdk.cli.announce import announce
from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.text import nearest

if TYPE_CHECKING:
    from device_agent.config import AgentSettings
    from edge_sdk.config import Configuration

SUMMARY = "run models on this device as the fleet wants them; status, rollback, bench, config show"

_ACTIONS = {
    "run": "keep this device as the fleet wants it, until it is stopped",
    "status": "how the agent on this device is",
    "rollback APP": "go back to the previous version of an application",
    "bench APP": "measure what an application runs, and tell the fleet",
    "bench FILE.json": "tell the fleet what `edge bench --json` wrote on this device",
    "config show": "each value of the configuration, and where it comes from",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    width = max(map(len, _ACTIONS))
    parser.epilog = "actions:\n" + "\n".join(
        f"  {name:<{width}}  {about}" for name, about in _ACTIONS.items()
    )
    parser.add_argument("action", nargs="+", metavar="ACTION", help="see below")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="agent.toml; the flags below overrule it"
    )
    parser.add_argument("--state", metavar="FOLDER", help="the agent's own folder (state)")
    parser.add_argument("--enrolment", metavar="FILE", help="from `edge fleet enroll`")
    parser.add_argument(
        "--app",
        metavar="NAME=PATH",
        action="append",
        default=[],
        help="an application, and its folder of pictures or arrays, or its video; repeatable",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=5.0,
        metavar="S",
        help="time that bench takes for all measurements together (5)",
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="what run says on stderr (info)",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Do what was asked. Raises EdgeError."""
    configuration = _configuration(args)
    state = Path(configuration.value.state)
    match args.action:
        case ["config", "show"]:
            rows = configuration.rows()
            keys = ("key", "value", "from")
            shown = [dict(zip(keys, row, strict=True)) for row in rows]
            return Outcome({"config": shown}, configuration.text())
        case ["run"]:
            return _run(configuration.value, args.log_level)
        case ["status"]:
            return _ask(state, "status", "")
        case ["rollback", app]:
            return _ask(state, "rollback", app)
        case ["bench", what]:
            return _bench(state, what, args.seconds)
        case ["bench"]:
            raise UsageError("Of what?", "edge agent bench APP|FILE.json --state FOLDER")
        case ["rollback"]:
            raise UsageError("Which application?", "edge agent rollback APP --config FILE")
        case other:
            wrong = " ".join(other)
            raise UsageError(f"edge agent does not know {wrong!r}.", nearest(wrong, _ACTIONS))


def _configuration(args: argparse.Namespace) -> Configuration[AgentSettings]:
    """What is set, by file, environment and flags; whoever only asks needs no enrolment."""
    from device_agent.config import PREFIX, app_flags, read_settings

    flags: dict[str, object] = {}
    for text in args.app:
        flags |= app_flags(text)
    for name in ("state", "enrolment"):
        if getattr(args, name) is not None:
            flags[name] = getattr(args, name)
    asks = args.action[0] in ("status", "rollback", "bench")
    if args.config is None and f"{PREFIX}ENROLMENT" not in os.environ and "enrolment" not in flags:
        if not asks or "state" not in flags:
            raise UsageError(
                "Which agent?",
                f"edge agent {' '.join(args.action)} --config FILE   # or "
                + ("--state FOLDER" if asks else "--enrolment FILE --app NAME=PATH"),
            )
        flags["enrolment"] = ""
    return read_settings(args.config, os.environ, flags)


def _run(settings: object, level: str) -> Outcome:
    import asyncio
    import logging
    import signal

    from device_agent.agent import Agent
    from device_agent.config import AgentSettings, missing, read_enrolment

    if not isinstance(settings, AgentSettings):
        raise TypeError(type(settings))
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    enrolment = read_enrolment(settings)
    for problem in missing(settings):
        logging.getLogger(__name__).warning("%s", problem)

    async def live() -> None:
        agent = Agent(settings, enrolment)
        running = {"device": enrolment.device, "state": settings.state, "pid": os.getpid()}
        announce(running, f"{enrolment.device} runs, its state is in {settings.state}")
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, agent.stop)
        await agent.run()

    asyncio.run(live())
    return Outcome(None, "")


def _bench(state: Path, what: str, seconds: float) -> Outcome:
    """Measure an application's model here, or read what was measured, and hand it to the agent."""
    import asyncio

    from device_agent.benching import measure_slot, read_report
    from device_agent.control import Question, ask

    if not 0 < seconds < 1e6:
        raise UsageError(f"{seconds:g} is not a number of seconds above 0.")
    if what.endswith(".json"):
        report = read_report(Path(what))
    else:
        status = asyncio.run(ask(state, Question(command="status")))
        if what not in status.apps:
            raise UsageError(
                f"There is no application {what!r} on this device.", nearest(what, status.apps)
            )
        serving = status.apps[what].state.serving
        if serving is None:
            raise UsageError(
                f"{what} serves nothing yet: there is nothing to measure.",
                f"edge agent status --state {state}",
            )
        report = measure_slot(state, serving, seconds, status.device)
    asyncio.run(ask(state, Question(command="bench", report=report)))
    best = min(report.measurements, key=lambda each: each.timings.p50_ms)
    return Outcome(
        report,
        f"{report.model} on {report.profile.name}: {best.timings.p50_ms:.3g} ms a call "
        f"({best.configuration}), of {len(report.measurements)} measured\n"
        "It is in the outbox, and the fleet keeps it:  edge fleet bench",
    )


def _ask(state: Path, command: str, app: str) -> Outcome:
    import asyncio

    from device_agent.control import Question, ask
    from device_agent.status import describe

    question = Question(command="rollback" if command == "rollback" else "status", app=app)
    status = asyncio.run(ask(state, question))
    return Outcome(status, describe(status))
