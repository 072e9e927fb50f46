"""``edge agent``: run the program on this device, ask it how it is, take a version back."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edge_sdk.cli.announce import announce
from edge_sdk.cli.command import Outcome
from edge_sdk.errors import UsageError
from edge_sdk.text import nearest

SUMMARY = "run models on this device as the fleet wants them; status, rollback, config show"

_ACTIONS = {
    "run": "keep this device as the fleet wants it, until it is stopped",
    "status": "how the agent on this device is",
    "rollback APP": "go back to the previous version of an application",
    "config show": "each value of the configuration, and where it comes from",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    width = max(map(len, _ACTIONS))
    parser.epilog = "actions:\n" + "\n".join(
        f"  {name:<{width}}  {about}" for name, about in _ACTIONS.items()
    )
    parser.add_argument("action", nargs="+", metavar="ACTION", help="see below")
    parser.add_argument("--config", required=True, type=Path, metavar="FILE", help="agent.toml")
    parser.add_argument("--state", metavar="FOLDER", help="the agent's own folder")
    parser.add_argument("--enrolment", metavar="FILE", help="from `edge fleet enroll`")
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="what run says on stderr (info)",
    )


def run(args: argparse.Namespace) -> Outcome:
    """Do what was asked. Raises EdgeError."""
    from device_agent.config import read_settings

    flags = {name: getattr(args, name) for name in ("state", "enrolment")}
    given = {name: value for name, value in flags.items() if value is not None}
    configuration = read_settings(args.config, os.environ, given)
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
        case ["rollback"]:
            raise UsageError(
                "Which application?", f"edge agent rollback APP --config {args.config}"
            )
        case other:
            wrong = " ".join(other)
            raise UsageError(f"edge agent does not know {wrong!r}.", nearest(wrong, _ACTIONS))


def _run(settings: object, level: str) -> Outcome:
    import asyncio
    import logging
    import signal

    from device_agent.agent import Agent
    from device_agent.config import AgentSettings, read_enrolment

    if not isinstance(settings, AgentSettings):
        raise TypeError(type(settings))
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    enrolment = read_enrolment(settings)

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


def _ask(state: Path, command: str, app: str) -> Outcome:
    import asyncio

    from device_agent.control import Question, ask
    from device_agent.status import describe

    question = Question(command="rollback" if command == "rollback" else "status", app=app)
    status = asyncio.run(ask(state, question))
    return Outcome(status, describe(status))
