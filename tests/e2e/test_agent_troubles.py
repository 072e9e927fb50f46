"""What is not the model's fault, on a real agent: no input, none that is fit, no room for records.

None of it takes a version back, and all of it is told to the fleet.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from agent_samples import APP, EDGE, AgentProcess, SmallFleet
from brokers import Server, eventually
from test_agent import played, world

from edge_sdk.audit import verify
from edge_sdk.spec import InputLimits
from edge_sdk.spec.deployment import AppState, State

BLUE_IS_DARK = InputLimits(min_luma=50, min_contrast=0)


async def told(fleet: SmallFleet, problem: str) -> AppState:
    """Wait until the device says so of its application."""

    def said() -> AppState | None:
        app = fleet.app()
        return app if app is not None and problem in " ".join(app.problems) else None

    await eventually(lambda: said() is not None, f"never told: {problem}")
    found = said()
    assert found is not None
    return found


async def inconclusive(fleet: SmallFleet) -> AppState:
    """Wait for a probation that has come to nothing."""

    def waits() -> bool:
        app = fleet.app()
        return app is not None and app.reason.startswith("inconclusive: it answered 0 times")

    await eventually(waits, "never inconclusive")
    found = fleet.app()
    assert found is not None
    return found


def limit_files(pid: int, size: int | str) -> None:
    """From now on no file of this process grows beyond that."""
    subprocess.run(["prlimit", f"--pid={pid}", f"--fsize={size}:unlimited"], check=True)


@played("nats")
async def test_without_input_nothing_is_proven_and_nothing_taken_back(
    server: Server, folder: Path
) -> None:
    async with world(server, folder, probation_deadline_s=2.0) as (fleet, agent):
        pictures = agent.folder / "pictures"
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        pictures.rename(agent.folder / "away")
        app = await told(fleet, "no input since 20")
        assert (app.state, str(pictures) in app.problems[0]) == (State.COMMITTED, True)
        assert any(line.startswith(f"{APP}: no input since") for line in _status(agent))

        fleet.want(second)
        app = await inconclusive(fleet)
        assert (app.state, app.serving, app.previous) == (State.PROBATION, second, first)
        assert app.refused == ()
        agent.kill()
        agent.start()
        await told(fleet, "no input since 20")
        await agent.reaches("probation", 2)
        # What it said before it was killed is not taken for what it says now.
        await eventually(lambda: agent.log.count("no input since") >= 2)
        assert "ERROR" in agent.log

        (agent.folder / "away").rename(pictures)
        app = await fleet.settled(2)
        assert (app.state, app.serving, app.previous) == (State.COMMITTED, second, first)
        assert (app.reason, app.refused) == ("", ())
        await eventually(lambda: fleet.app().problems == ())
        assert sum(window.unread for window in fleet.windows) > 0
        assert sum(window.errors for window in fleet.windows) == 0


@played("nats")
async def test_refused_input_is_counted_and_is_no_error(server: Server, folder: Path) -> None:
    async with world(server, folder, probation_deadline_s=2.0) as (fleet, agent):
        first = fleet.publish("1.0.0", guard=BLUE_IS_DARK)
        second = fleet.publish("1.1.0", guard=InputLimits(min_luma=250, min_contrast=0))
        agent.start()
        app = await fleet.settled(fleet.want(first))
        assert (app.state, app.problems) == (State.COMMITTED, ())
        await eventually(lambda: any(window.refused for window in fleet.windows))
        windows = [window for window in fleet.windows if window.refused]
        assert all(window.refused.keys() == {"dark"} for window in windows)
        assert all(set(window.classes) <= {0, 1} for window in windows)  # blue was never answered
        assert sum(window.errors for window in fleet.windows) == 0

        fleet.want(second)
        await inconclusive(fleet)
        app = await told(fleet, "the artifact's limits refuse it: dark")
        assert (app.state, app.serving, app.refused) == (State.PROBATION, second, ())
        worker = agent.worker()
        assert (worker["errors"], worker["inferences"]) == (0, 0)
        assert worker["refused"].keys() == {"dark"}
        app = await fleet.settled(fleet.want(first))
        assert (app.state, app.serving) == (State.COMMITTED, first)
        await eventually(lambda: fleet.app().problems == ())


@played("nats")
async def test_an_operator_who_has_other_limits_or_none_is_seen_to(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        first = fleet.publish("1.0.0", guard=InputLimits(min_luma=250, min_contrast=0))
        agent.app_settings["guard"] = False
        agent.start()
        app = await fleet.settled(fleet.want(first))
        assert (app.state, app.limits) == (State.COMMITTED, "limits are off on the device")
        await eventually(lambda: agent.worker()["inferences"] > 5)
        assert agent.worker()["refused"] == {}
        assert f"{APP}: limits are off on the device" in _status(agent)
        agent.stop()

        agent.app_settings = {"limits.max_luma": 20, "limits.min_contrast": 0}
        agent.start()
        await eventually(lambda: "bright" in agent.worker().get("refused", {}))
        app = await told(fleet, "the device's own limits refuse it: bright")
        assert app.limits == "limits of the device's own: max_luma 20, finite"


@played("nats")
async def test_records_that_cannot_be_written_take_no_version_back(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        agent.app_settings["audit"] = True
        log = agent.state / "audit" / f"{APP}.jsonl"
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        await eventually(lambda: log.exists() and log.read_bytes().count(b"\n") > 5)
        worker = agent.worker()["pid"]
        limit_files(worker, log.stat().st_size + 100)
        await told(fleet, "answers are not recorded since 20")
        app = await fleet.settled(fleet.want(second))
        assert (app.state, app.serving, app.refused) == (State.COMMITTED, second, ())
        assert "There is no room to write" in app.problems[0]
        await eventually(lambda: any(w.unrecorded for w in fleet.windows if w.errors == 0))
        assert sum(window.errors for window in fleet.windows) == 0
        assert any(line.startswith(f"{APP}: answers are not recorded") for line in _status(agent))

        limit_files(worker, "unlimited")
        await eventually(lambda: fleet.app().problems == ())
        assert agent.stop() == 0
        found = verify(log)
        assert found.passed
        assert found.lost > 0


@played("nats")
async def test_a_disk_that_takes_neither_records_nor_messages_is_told_of_in_the_end(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        agent.app_settings["audit"] = True
        log = agent.state / "audit" / f"{APP}.jsonl"
        agent.start()
        await fleet.settled(fleet.want(fleet.publish("1.0.0")))
        await eventually(lambda: log.exists() and log.read_bytes().count(b"\n") > 5)
        assert agent.process is not None
        both = (agent.worker()["pid"], agent.process.pid)
        limit_files(both[0], log.stat().st_size + 100)
        limit_files(both[1], 100)
        # The log is a file too. Some windows of half a second are over:
        await eventually(lambda: agent.worker().get("unrecorded", 0) > 100)
        heard = sum(window.unrecorded for window in fleet.windows)
        assert heard < 100
        for pid in both:
            limit_files(pid, "unlimited")
        await eventually(lambda: verify(log).lost > 100)
        assert agent.stop() == 0
        agent.start()  # what it still had to say
        lost = verify(log).lost
        await eventually(lambda: sum(window.unrecorded for window in fleet.windows) == lost)


def _status(agent: AgentProcess) -> list[str]:
    """What ``edge agent status`` prints for a person."""
    done = subprocess.run(
        [*EDGE, "agent", "status", "--config", str(agent.config)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
