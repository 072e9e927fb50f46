"""A fleet, its broker and its agents, killed with ``kill -9`` in random order while they work.

    python tests/torture/kills.py --seeds 10 --kills 20      # what ``make torture`` runs

Each seed is one campaign in a fresh folder. What dies when is drawn from the seed alone, so a
campaign that failed can be played again: ``--first SEED --seeds 1``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ledger
from agent_samples import APP, AgentProcess, classifier
from fleet_process import FleetProcess

from examples.fashion_mnist.dataset import write_images

DEVICES = ("cam-1", "cam-2")
WINDOW_S = 0.1
LONGEST_PAUSE_S = 1.0
DRAIN_S = 180.0
T = TypeVar("T")
VICTIMS = ("fleet", "broker", *DEVICES)


@dataclass
class Campaign:
    """One fleet with its broker, some agents, and a seed.

    Attributes:
        folder: of everything.
        seed: decides who is killed, in which order and when.
        killed: who has been, in order.
        messages, windows, inferences: that were proven to be there once.
    """

    folder: Path
    seed: int
    killed: list[str] = field(default_factory=list)
    messages: int = 0
    windows: int = 0
    inferences: int = 0

    def __post_init__(self) -> None:
        self.fleet = FleetProcess(self.folder)
        self.agents: dict[str, AgentProcess] = {}

    def play(self, kills: int) -> None:
        """All of it; fails if a message was lost or doubled."""
        try:
            self.begin()
            for victim, pause_s, waits in self.plan(kills):
                time.sleep(pause_s)
                self.kill(victim, waits=waits)
            self.drain()
            self.prove()
        finally:
            self.end()

    def plan(self, kills: int) -> list[tuple[str, float, bool]]:
        """Who, after what pause, and whether the next kill waits until it is back.

        Everybody's turn comes equally often; a third of the pauses is none at all, so that some
        die together, and the fleet while it is starting.
        """
        chance = random.Random(self.seed)
        victims = [VICTIMS[i % len(VICTIMS)] for i in range(kills)]
        chance.shuffle(victims)
        return [
            (
                victim,
                0.0 if chance.random() < 1 / 3 else chance.uniform(0, LONGEST_PAUSE_S),
                chance.random() < 1 / 2,
            )
            for victim in victims
        ]

    def begin(self) -> None:
        """Start everything, and wait until every agent answers with a model."""
        self.fleet.start()
        self.fleet.edge("publish", str(classifier(self.folder / "colour.edge", "1.0.0")))
        pictures = write_images(self.folder / "pictures", 3)
        for device in DEVICES:
            home = self.folder / device
            (home / "pictures").mkdir(parents=True)
            for picture in sorted(pictures.rglob("*.png")):
                shutil.copy(picture, home / "pictures")
            self.fleet.edge("enroll", device, "-o", str(home / "enrolment.json"))
            agent = AgentProcess(home, {"enrolment": "enrolment.json", "window_s": WINDOW_S})
            agent.state.mkdir(mode=0o700)
            ledger.place_witness(agent.state / "outbox.sqlite")
            self.agents[device] = agent
            agent.start()
        _before(30.0, self._all_reported, "The agents do not report.")
        words = ("rollout", "start", "colour@1.0.0", "--app", APP, "--limit", "soak_s=0.1")
        begun = self.fleet.edge(*words, "--limit", "min_inferences=1")
        done = self.fleet.edge("rollout", "status", begun["rollout"]["id"], "--wait")
        assert done["rollout"]["stage"] == "done", done

    def _all_reported(self) -> bool:
        return all(APP in d["apps"] for d in self.fleet.edge("devices")["devices"])

    def kill(self, victim: str, *, waits: bool) -> None:
        """Kill one with SIGKILL, and see to it that it comes back."""
        if victim == "fleet":
            self.fleet.kill()
            self.fleet.launch()
            if waits:
                assert self.fleet.process is not None
                assert self.fleet.process.stdout is not None
                self.fleet.process.stdout.readline()  # until it is ready, or has ended
        elif victim == "broker":
            self._kill_broker()
        else:
            self.agents[victim].kill()
            self.agents[victim].start()
        self.killed.append(victim)

    def _kill_broker(self) -> None:
        """The fleet starts it again; one that is just starting itself may not have one yet."""

        def broker() -> int | None:
            self._serve_the_service()
            return self.fleet.broker()

        os.kill(_before(60.0, broker, "There is no broker."), signal.SIGKILL)

    def _serve_the_service(self) -> None:
        """Start a fleet again that has ended, as a service manager would.

        It ends with an error when its broker was killed again and again while both were starting.
        """
        process = self.fleet.process
        if process is not None and process.poll() is not None:
            assert process.returncode == 3, self.fleet.log
            self.fleet.kill()
            self.fleet.launch()

    def drain(self) -> None:
        """Let the agents be silent, and wait until all that they had to say is acknowledged."""
        for agent in self.agents.values():
            _before(60.0, agent.worker, "The agent does not come back.")
            assert agent.stop() == 0, agent.log  # the last window goes into the outbox, too
            agent.settings["window_s"] = 3600
            agent.start()
        outboxes = [agent.state / "outbox.sqlite" for agent in self.agents.values()]
        quiet = 0

        def drained() -> bool:
            nonlocal quiet
            self._serve_the_service()
            said = all("agent of" in agent.log for agent in self.agents.values())
            quiet = 0 if any(map(ledger.waiting, outboxes)) or not said else quiet + 1
            return quiet == 20

        _before(DRAIN_S, drained, "The outboxes do not drain.")

    def prove(self) -> None:
        """Hold what the devices accepted beside what the fleet stored."""
        wrong = []
        for device, agent in self.agents.items():
            sent = ledger.accepted(agent.state / "outbox.sqlite")
            there = ledger.stored(self.fleet.data / "fleet.db", device)
            wrong += [f"{device}: {each}" for each in ledger.discrepancies(sent, there)]
            self.messages += sent.receipts.total()
            self.windows += sent.windows.total()
            self.inferences += sent.inferences
        assert not wrong, "\n".join([f"seed {self.seed}:", *wrong])
        said = {d["device"]: d for d in self.fleet.edge("devices")["devices"]}
        assert sum(d["inferences"] for d in said.values()) == self.inferences
        assert sum(d["windows"] for d in said.values()) == self.windows

    def end(self) -> None:
        """Nothing stays behind."""
        for agent in self.agents.values():
            if agent.process is not None and agent.process.poll() is None:
                agent.kill()
        if self.fleet.process is not None:
            self.fleet.stop()


def _before(seconds: float, condition: Callable[[], T | None], otherwise: str) -> T:
    """What ``condition`` answers, once it is true of something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)
    return found


def main() -> None:
    """Play campaigns, a line each; the folder of one that failed stays."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many campaigns (10)")
    parser.add_argument("--first", type=int, default=1, help="seed of the first (1)")
    parser.add_argument("--kills", type=int, default=20, help="in each (20)")
    args = parser.parse_args()
    for seed in range(args.first, args.first + args.seeds):
        folder = Path(tempfile.mkdtemp(prefix=f"edgeloop-torture-{seed}-"))
        begun = time.monotonic()
        campaign = Campaign(folder, seed)
        try:
            campaign.play(args.kills)
        except BaseException:
            print(f"seed {seed}: FAILED after {len(campaign.killed)} kills; see {folder}")
            raise
        shutil.rmtree(folder)
        took = time.monotonic() - begun
        print(
            f"seed {seed}: {len(campaign.killed)} kills, {campaign.messages} messages, "
            f"{campaign.windows} windows, {campaign.inferences} inferences: each there once "
            f"({took:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
