"""A fleet's store, registry and rollouts, and devices that do as they are told."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet_samples import NEW, OLD, a_window
from sqlalchemy import Connection

from edge_sdk.errors import UnavailableError
from edge_sdk.spec.deployment import AppState, ArtifactRef, Reported, State
from edge_sdk.spec.sketch import Comparison, LogHistogram
from edge_sdk.trust.signing import DirectorKey
from fleet.core.gate import Limits
from fleet.core.rollout import Event, Pace, Rollout, Stage
from fleet.director import Director
from fleet.registry import Registry
from fleet.reports import report_rollout
from fleet.rollouts import Rollouts
from fleet.stores import artifacts, audit, devices, rollouts, telemetry
from fleet.stores.artifacts import Published
from fleet.stores.store import Store
from fleet.trust import TrustRepository
from fleet.words import RolloutReport

KEY = DirectorKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
APP = "fashion"
AWAY_S = 120


class Site:
    """A fleet's store, its rollouts, and devices that do as they are told."""

    def __init__(self, path: Path, now_ms: int = 1_000_000) -> None:
        self.path = path
        self.now_ms = now_ms
        self.away: set[str] = set()
        self.bad: set[str] = set()
        """Devices on which half of all inferences fail under the candidate."""
        self.slow: set[str] = set()
        self.broker_problem = ""
        self.admitted: dict[str, str] = {}
        """Who may speak to the broker, as it was told last."""
        self._trust = TrustRepository(path.with_name("trust"))
        self._open()

    def _open(self) -> None:
        self.store = Store(f"sqlite:///{self.path}")

        async def publish(topic: str, payload: bytes) -> None:
            raise AssertionError("the director is not running")

        self.director = Director(self.store, KEY.sign, publish, lambda: self.now_ms)
        self.rollouts = Rollouts(self.store, self.director, lambda: self.now_ms, away_s=AWAY_S)

        async def admit(passwords: Mapping[str, str]) -> bool:
            if self.broker_problem:
                raise UnavailableError(self.broker_problem)
            self.admitted = dict(passwords)
            return True

        self.registry = Registry(
            self.store,
            self.director,
            self._trust,
            admit,
            lambda: self.now_ms,
            fleet="site",
            broker_url="mqtt://site",
            broker_ca="",
        )

    def restart(self) -> None:
        """As after kill -9: nothing but the store is left."""
        self.store.close()
        self._open()

    def enroll(self, count: int, first: int = 0) -> None:
        def work(connection: Connection) -> None:
            for ref in (OLD, NEW):
                artifacts.add(connection, Published(ref, b"{}", None, 1))
            for number in range(first, first + count):
                device = f"pi-{number:02}"
                devices.add(connection, device, "secret", {}, 1)
                said = Reported(apps={APP: AppState(serving=OLD)})
                devices.report_now(connection, device, said, self.now_ms)
                devices.saw(connection, [device], self.now_ms)

        self.store.write_now(work)
        self.restart()

    def start(self, **pace: Any) -> Rollout:
        pace = {"canary_share": 0.1, "soak_s": 4, "waves": (0.3, 0.5, 1.0), **pace}
        return asyncio.run(self.rollouts.start("fashion@1.1.0", APP, "all", Limits(), Pace(**pace)))

    def act(self, rollout: Rollout, action: type[Event]) -> Rollout:
        return asyncio.run(self.rollouts.act(rollout.id, action))

    def turn(self, rollout: Rollout, seconds: float = 2) -> Rollout:
        """Devices obey and report, time passes, and the rollout is looked after."""
        self.store.write_now(self._obey)
        self.now_ms += round(seconds * 1000)
        self.store.write_now(self._serve)
        return asyncio.run(self.rollouts.look_after(rollout.id))

    def until(self, rollout: Rollout, stage: Stage, wave: int | None = None) -> Rollout:
        for _ in range(60):
            if rollout.stage is stage and wave in (None, rollout.wave):
                return rollout
            rollout = self.turn(rollout)
        raise AssertionError(f"never {stage}, wave {wave}: {rollout}")

    def _here(self, connection: Connection) -> list[devices.Device]:
        return [d for d in devices.all_of(connection) if d.device not in self.away]

    def _obey(self, connection: Connection) -> None:
        for device in self._here(connection):
            devices.saw(connection, [device.device], self.now_ms)
            if device.goal is None or device.goal.counter <= device.reported.counter:
                continue
            wanted = device.goal.apps[APP]
            state = AppState(
                serving=wanted.serve,
                shadow=wanted.shadow,
                state=State.SHADOWING if wanted.shadow else State.COMMITTED,
            )
            said = Reported(counter=device.goal.counter, apps={APP: state})
            devices.report_now(connection, device.device, said, self.now_ms)

    def _serve(self, connection: Connection) -> None:
        for device in self._here(connection):
            state = device.reported.apps[APP]
            for ref, role in ((state.serving, "serve"), (state.shadow, "shadow")):
                if ref is None:
                    continue
                candidate = ref == NEW and role == "serve"
                latency = 500 if candidate and device.device in self.slow else 300
                window = a_window(
                    artifact=ref.digest,
                    role=role,
                    inferences=100,
                    errors=100 if candidate and device.device in self.bad else 0,
                    latency=LogHistogram(counts={latency: 100}),
                    comparison=Comparison(compared=100, disagreed=1) if state.shadow else None,
                )
                telemetry.add(connection, device.device, [window], self.now_ms)

    def serving(self, ref: ArtifactRef) -> set[str]:
        everyone = self.store.read_now(devices.all_of)
        return {d.device for d in everyone if d.reported.apps[APP].serving == ref}

    def wave(self, rollout: Rollout, number: int) -> set[str]:
        members = self.store.read_now(lambda c: rollouts.members_of(c, rollout.id))
        return {member.device for member in members if member.wave == number}

    def remove(self, device: str) -> tuple[str, ...]:
        """Let a device go; answers the rollouts that go on without it."""
        return asyncio.run(self.registry.remove(device)).left

    def report(self, rollout: Rollout) -> RolloutReport:
        return report_rollout(self.store.read_now(lambda c: self.rollouts.situation(c, rollout.id)))

    def trail(self, rollout: Rollout) -> list[str]:
        entries = self.store.read_now(lambda c: audit.newest(c, 200, rollout.id))
        return [f"{e.what}: {e.detail}" for e in entries][::-1]
