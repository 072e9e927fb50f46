"""Bad input to a device and its fleet, both as processes: what is refused, said, and left alone."""

from __future__ import annotations

import asyncio
import functools
import json
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from agent_samples import APP, DEVICE, EDGE, AgentProcess, SmallFleet, classifier, device, pictures
from brokers import ROOT, NatsServer, eventually, running
from fleet_process import FleetProcess
from tls_samples import write_certificates

from edge_sdk.spec.deployment import State
from edge_sdk.spec.wire import Chunk, Message

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

    def roll_out(self, version: str) -> str:
        """Publish a version and roll it out; answers its digest."""
        path = classifier(self.fleet.folder / f"colour-{version}.edge", version)
        digest: str = self.fleet.edge("publish", str(path))["digest"]
        limits = ("--limit", "soak_s=0.1", "--limit", "min_inferences=1")
        limits += ("--limit", "min_compared=1", "--limit", "max_p99_ratio=50")
        words = ("rollout", "start", f"colour@{version}", "--app", APP, *limits)
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


def test_credentials_that_were_replaced_end_and_the_model_runs_on(tmp_path: Path) -> None:
    """A device is sent away by enrolling it anew and keeping the file."""
    site = Site(tmp_path)
    try:
        digest = site.begin()
        worker = site.agent.worker()["pid"]
        site.fleet.edge("enroll", DEVICE, "-o", str(tmp_path / ENROLMENT))
        wait(lambda: "not authorized" in site.agent.status()["refusal"].lower())
        assert "ot authorized" in told(site.agent)
        assert site.agent.serves(digest)
        assert site.agent.worker()["pid"] == worker
        site.agent.stop()
        shutil.copy(tmp_path / ENROLMENT, site.agent.folder / ENROLMENT)
        site.agent.start()
        second = site.roll_out("1.1.0")
        wait(lambda: site.agent.serves(second))
    finally:
        site.end()


def test_a_fleet_that_lost_all_does_not_know_the_device_until_it_is_enrolled(
    tmp_path: Path,
) -> None:
    """The broker stays and lets both in; the fleet begins again in an empty folder."""
    server = NatsServer(tmp_path / "nats")
    (tmp_path / "nats").mkdir()
    (tmp_path / "password").write_text("f-secret")
    (tmp_path / "password").chmod(0o600)
    config = tmp_path / "fleet.toml"
    config.write_text(f'broker_username = "fleet"\nbroker_password_file = "{tmp_path}/password"\n')

    async def with_server() -> None:
        await server.start()
        try:
            await asyncio.to_thread(story)
        finally:
            await server.stop()

    def known_to_broker(path: Path) -> None:
        """A broker of one's own has its own list of passwords; ours says ``1-secret``."""
        enrolment = json.loads(path.read_bytes())
        enrolment["credentials"] |= {"username": DEVICE, "password": "1-secret"}
        path.write_text(json.dumps(enrolment))

    def story() -> None:
        site = Site(tmp_path / "site", "--broker", server.url, "--config", str(config))
        try:
            site.fleet.start()
            site.enroll()
            known_to_broker(site.agent.folder / ENROLMENT)
            site.agent.start()
            site.await_reported()
            digest = site.roll_out("1.0.0")
            site.fleet.stop()
            shutil.rmtree(site.fleet.data)
            site.agent.kill()
            site.fleet.start()
            site.agent.start()
            wait(lambda: site.agent.serves(digest))
            wait(lambda: site.agent.worker() and site.agent.status()["connected"])
            wait(lambda: "Not taken (unknown device" in site.fleet.log)
            assert not site.agent.status()["answered"]
            said = told(site.agent)
            assert "the fleet does not answer" in said
            assert "edge fleet devices" in said
            assert site.fleet.edge("devices")["devices"] == []
            site.agent.stop()
            site.enroll()
            known_to_broker(site.agent.folder / ENROLMENT)
            site.agent.start()
            site.await_reported()
            wait(lambda: site.agent.serves(digest))
            wait(lambda: site.agent.status()["answered"])
            second = site.roll_out("1.1.0")
            wait(lambda: site.agent.serves(second))
        finally:
            site.end()

    asyncio.run(with_server())


def test_over_tls_and_not_without(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    tls = write_certificates(tmp_path / "tls")
    config = tmp_path / "fleet.toml"
    config.write_text(
        f'broker_certificate = "{tls}/server.crt"\nbroker_key = "{tls}/server.key"\n'
        f'broker_ca = "{tls}/ca.crt"\n'
    )
    site = Site(tmp_path / "site", "--config", str(config))
    try:
        digest = site.begin()
        enrolment = site.agent.folder / ENROLMENT
        right = enrolment.read_text()
        assert json.loads(right)["broker"].startswith("mqtts://127.0.0.1:")
        assert site.agent.serves(digest)
        foreign = (tls / "foreign.crt").read_text()
        for change, said in (
            ({"broker": json.loads(right)["broker"].replace("mqtts", "mqtt")}, ""),
            ({"credentials": json.loads(right)["credentials"] | {"ca": foreign}}, "not trusted"),
        ):
            site.agent.stop()
            enrolment.write_text(json.dumps(json.loads(right) | change))
            site.agent.start()
            wait(lambda: site.agent.serves(digest))
            wait(lambda said=said: said in _refusal(site.agent) if said else _refusal(site.agent))  # type: ignore[misc]
            assert not site.agent.status()["connected"]
        site.agent.stop()
        enrolment.write_text(right)
        site.agent.start()
        second = site.roll_out("1.1.0")
        wait(lambda: site.agent.serves(second))
    finally:
        site.end()


def _refusal(agent: AgentProcess) -> str:
    return str(agent.status()["refusal"]) if agent.worker() else ""


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[tuple[SmallFleet, AgentProcess]]:
    """A fleet that can be told to lie, a broker, and an agent."""
    server = NatsServer(folder)
    await server.start()
    try:
        fleet = SmallFleet(folder, server)
        agent = device(folder, fleet)
        async with running(fleet.broker):
            try:
                yield fleet, agent
            except BaseException:
                print(agent.log)
                raise
            finally:
                if agent.process is not None and agent.process.poll() is None:
                    agent.stop()
    finally:
        await server.stop()


def _tampered(message: Message) -> Message:
    if isinstance(message, Chunk) and message.path.endswith("model.onnx"):
        data = bytes([message.data[0] ^ 1]) + message.data[1:]
        return msgspec.structs.replace(message, data=data)
    return message


def _truncated(message: Message) -> Message:
    """The fleet's file ends early, and it says so."""
    if isinstance(message, Chunk) and message.path.endswith("model.onnx"):
        return msgspec.structs.replace(message, data=message.data[:1000], size=1000)
    return message


def _of_another(message: Message) -> Message:
    """What another device asked for."""
    if isinstance(message, Chunk) and message.path.endswith("model.onnx"):
        return msgspec.structs.replace(message, path=message.path.replace("model", "mode1"))
    return message


def test_what_is_not_what_the_fleet_signed_is_never_installed(tmp_path: Path) -> None:
    async def story() -> None:
        async with world(tmp_path) as (fleet, agent):
            first = fleet.publish("1.0.0")
            agent.start()
            await fleet.settled(fleet.want(first))
            worker = agent.worker()["pid"]
            slots = agent.state / "slots"
            lies = {
                _tampered: "is not the file that the fleet signed",
                _truncated: "1000 bytes for",
                _of_another: "Bytes of",
            }
            for number, (lie, said) in enumerate(lies.items(), start=1):
                candidate = fleet.publish(f"1.{number}.0")
                fleet.tamper = lie
                app = await fleet.settled(fleet.want(candidate))
                assert (app.state, app.serving, app.refused) == (State.FAILED, first, ())
                assert said in app.reason, app.reason
                assert agent.serves(first.digest)
                assert agent.worker()["pid"] == worker
                await eventually(lambda: [p.name for p in slots.iterdir()] == [first.digest])
            fleet.tamper = lambda message: message
            await fleet.settled(fleet.want(first))
            app = await fleet.settled(fleet.want(candidate))
            assert (app.state, app.serving) == (State.COMMITTED, candidate)

    asyncio.run(story())


@functools.cache
def without_faketime() -> str:
    """Why no clock can be wrong here; empty if one can. As root, it gets installed."""
    done = subprocess.run(
        [ROOT / "scripts" / "apt", "faketime"], capture_output=True, text=True, check=False
    )
    return f"no faketime: {done.stderr.strip()}" if done.returncode else ""


def test_a_clock_years_behind_installs_all_the_same(tmp_path: Path) -> None:
    if reason := without_faketime():
        pytest.skip(reason)

    async def story() -> None:
        async with world(tmp_path) as (fleet, agent):
            first = fleet.publish("1.0.0")
            agent.clock = "-3650d"
            agent.start()
            app = await fleet.settled(fleet.want(first))
            assert (app.state, app.serving) == (State.COMMITTED, first)
            await eventually(lambda: any(w.inferences for w in fleet.windows))
            year_ms = 365 * 86_400_000
            written = max(w.ended_ms for w in fleet.windows)
            assert written < time.time() * 1000 - 9 * year_ms, "the clock was not behind"

    asyncio.run(story())


def test_a_clock_far_ahead_refuses_what_is_new_and_says_so(tmp_path: Path) -> None:
    if reason := without_faketime():
        pytest.skip(reason)

    async def story() -> None:
        async with world(tmp_path) as (fleet, agent):
            first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
            agent.start()
            await fleet.settled(fleet.want(first))
            agent.stop()
            agent.clock = "+1000d"
            agent.start()
            await eventually(lambda: agent.serves(first.digest))
            counter = fleet.want(second)
            await agent.reaches("downloading", 2)
            await eventually(
                lambda: "too old" in str(agent.status()["apps"][APP]["state"]["problems"])
            )
            said = told(agent)
            assert "The fleet's metadata is too old to install anything new" in said
            assert "date -u" in said
            assert "date -u" in agent.log
            assert agent.serves(first.digest)
            assert not (agent.state / "slots" / second.digest / "manifest.json").exists()
            agent.stop()
            agent.clock = ""
            agent.start()
            app = await fleet.settled(counter)
            assert (app.state, app.serving) == (State.COMMITTED, second)

    asyncio.run(story())
