"""A fleet process and an agent process, side by side."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

from agent_samples import APP, DEVICE, EDGE, AgentProcess, classifier, pictures
from brokers import eventually
from fleet_process import FleetProcess

ENROLMENT = "cam-1.enrolment.json"


class Site:
    """A fleet process and one agent process."""

    def __init__(self, folder: Path, *words: str) -> None:
        folder.mkdir(exist_ok=True)
        self.fleet = FleetProcess(folder, *words)
        self.agent = AgentProcess(folder / DEVICE)
        pictures(self.agent.folder / "pictures")

    def enroll(self) -> None:
        self.fleet.edge("enroll", DEVICE, "-o", str(self.agent.folder / ENROLMENT))

    limits = (
        *("--limit", "soak_s=0.1", "--limit", "min_inferences=1"),
        *("--limit", "min_compared=1", "--limit", "max_p99_ratio=50"),
    )

    def publish(self, version: str) -> str:
        """Answers its digest."""
        path = classifier(self.fleet.folder / f"colour-{version}.edge", version)
        digest: str = self.fleet.edge("publish", str(path))["digest"]
        return digest

    def roll_out(self, version: str) -> str:
        """Publish a version and roll it out; answers its digest."""
        digest = self.publish(version)
        words = ("rollout", "start", f"colour@{version}", "--app", APP, *self.limits)
        begun = self.fleet.edge(*words)["rollout"]["id"]
        done = self.fleet.edge("rollout", "status", begun, "--wait")
        assert done["rollout"]["stage"] == "done", done
        return digest

    def begin(self) -> str:
        """Start both; answers the digest of what the device serves then."""
        self.fleet.start()
        self.enroll()
        self.agent.start()
        self.await_reported()
        return self.roll_out("1.0.0")

    def await_reported(self) -> None:
        def reported() -> bool:
            (said,) = self.fleet.edge("devices")["devices"]
            return said["online"] and APP in said["apps"]

        asyncio.run(eventually(reported, "the device does not report"))

    def end(self) -> None:
        if self.agent.process is not None and self.agent.process.poll() is None:
            self.agent.stop()
        if self.fleet.process is not None:
            self.fleet.stop()


def wait(condition: Callable[[], object], what: str = "") -> None:
    asyncio.run(eventually(condition, what))


def told(agent: AgentProcess) -> str:
    """What ``edge agent status`` prints for a person."""
    done = subprocess.run(
        [*EDGE, "agent", "status", "--config", str(agent.config)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
