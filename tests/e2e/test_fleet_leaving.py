"""Devices that go, and devices that are two: real agents, a real fleet, real brokers."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from agent_samples import APP, DEVICE, EDGE, AgentProcess, pictures
from agent_site import ENROLMENT, Site, told, wait
from brokers import NatsServer


def printed(site: Site, *words: str) -> str:
    """What a command of the fleet's prints for a person."""
    done = subprocess.run(
        [*EDGE, "fleet", "--data", str(site.fleet.data), *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_removed_device_is_refused_and_says_so_and_can_come_back(tmp_path: Path) -> None:
    site = Site(tmp_path)
    try:
        site.begin()
        site.fleet.edge("enroll", "cam-2", "-o", str(tmp_path / "cam-2.enrolment.json"))
        digest = site.publish("1.1.0")
        words = ("rollout", "start", "colour@1.1.0", "--app", APP, "--to", "cam-1,cam-2")
        going = site.fleet.edge(*words, "--canary", "50%", *site.limits)["rollout"]["id"]
        wait(lambda: site.agent.serves(digest))
        assert site.fleet.edge("rollout", "status", going)["rollout"]["stage"] != "done"

        said = printed(site, "remove", "cam-2")
        assert "cam-2 is removed from the fleet." in said
        assert "have ended" in said
        assert f"{going} goes on without it" in said
        done = site.fleet.edge("rollout", "status", going, "--wait")
        assert (done["rollout"]["stage"], done["devices"]) == ("done", [DEVICE])

        worker = site.agent.worker()["pid"]
        removed = site.fleet.edge("remove", DEVICE)
        assert removed == {
            "device": DEVICE,
            "serves": {APP: "colour@1.1.0"},
            "left": [],
            "broker": site.fleet.address["broker"],
            "ended": True,
        }
        assert site.fleet.edge("devices")["devices"] == []
        wait(lambda: "not authorized" in site.agent.status()["refusal"].lower())
        assert f"Was it removed, or enrolled anew? edge fleet enroll {DEVICE}" in told(site.agent)
        assert site.agent.serves(digest), "it goes on"
        assert site.agent.worker()["pid"] == worker
        trail = site.fleet.edge("audit", "--subject", DEVICE)["entries"]
        assert (trail[0]["what"], trail[0]["detail"]) == ("removed", f"{APP} serves colour@1.1.0")
        assert trail[-1]["what"] == "enrolled"
        assert "no device" in site.fleet.edge("remove", DEVICE, code=2)["error"]

        # Neither a restart of the fleet nor one of the agent lets it in again.
        site.fleet.kill()
        site.fleet.start()
        site.agent.stop()
        site.agent.start()
        wait(lambda: site.agent.worker() and "not authorized" in refusal(site.agent))

        site.agent.stop()
        site.enroll()
        site.agent.start()
        site.await_reported()
        (back,) = site.fleet.edge("devices")["devices"]
        assert back["told"] > 1, "it remembers more than a fleet that had forgotten it"
        assert site.agent.serves(digest)
        third = site.roll_out("1.2.0")
        wait(lambda: site.agent.serves(third))
    finally:
        site.end()


def refusal(agent: AgentProcess) -> str:
    said: str = agent.status()["refusal"].lower()
    return said


def test_a_broker_of_ones_own_still_lets_it_in_and_the_fleet_tells_it(tmp_path: Path) -> None:
    """Its list of users is the user's; the fleet says so, and says no to the device."""
    server = NatsServer(tmp_path / "nats")
    (tmp_path / "nats").mkdir()
    (tmp_path / "password").write_text("f-secret")
    (tmp_path / "password").chmod(0o600)
    config = tmp_path / "fleet.toml"
    config.write_text(f'broker_username = "fleet"\nbroker_password_file = "{tmp_path}/password"\n')

    def known_to_broker(path: Path) -> None:
        enrolment = json.loads(path.read_bytes())
        enrolment["credentials"] |= {"username": DEVICE, "password": "1-secret"}
        path.write_text(json.dumps(enrolment))

    def story() -> None:
        site = Site(tmp_path / "site", "--broker", server.url, "--config", str(config))
        site.agent.settings["hello_every_s"] = 0.5
        try:
            site.fleet.start()
            site.enroll()
            known_to_broker(site.agent.folder / ENROLMENT)
            site.agent.start()
            site.await_reported()
            digest = site.roll_out("1.0.0")
            assert site.fleet.edge("remove", DEVICE)["ended"] is False
            wait(lambda: site.agent.status()["dismissed"])
            said = told(site.agent)
            assert "this device does not belong to it: it was removed" in said
            assert site.agent.serves(digest)
            wait(lambda: "does not belong" in site.agent.log)
            assert site.agent.log.count("does not belong") == 1, "once in the log"
            site.enroll()
            known_to_broker(site.agent.folder / ENROLMENT)
            site.await_reported()
            wait(lambda: not site.agent.status()["dismissed"])
            assert "the fleet answers" in told(site.agent)
            said = printed(site, "remove", DEVICE)
            assert f"{server.url} keeps its own list of users: take {DEVICE} off it" in said
        finally:
            site.end()

    async def with_server() -> None:
        await server.start()
        try:
            await asyncio.to_thread(story)
        finally:
            await server.stop()

    asyncio.run(with_server())


def test_a_copied_card_is_noticed_and_a_restored_one_is_none(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.agent.settings["hello_every_s"] = 0.3
    twin = AgentProcess(tmp_path / "twin", settings=dict(site.agent.settings))

    def device() -> dict[str, Any]:
        (said,) = site.fleet.edge("devices")["devices"]
        return dict(said)

    def boot() -> str:
        wait(lambda: site.agent.worker() and site.agent.status()["answered"])
        said: str = site.agent.status()["boot"]
        return said

    try:
        digest = site.begin()
        backup = tmp_path / "backup"
        site.agent.stop()
        shutil.copytree(site.agent.state, backup, ignore=shutil.ignore_patterns("*.sock"))
        boots = set()
        for restored in (False, True, False, True):
            if restored:
                shutil.rmtree(site.agent.state)
                shutil.copytree(backup, site.agent.state)
            site.agent.start()
            boots.add(boot())
            wait(lambda: site.agent.serves(digest))
            site.agent.kill() if restored else site.agent.stop()
        assert len(boots) == 4
        site.agent.start()
        boot()
        assert not device()["doubled"], "restarts and backups are one device"

        shutil.copytree(site.agent.folder, twin.folder, ignore=shutil.ignore_patterns("*.sock"))
        pictures(twin.folder / "pictures")
        twin.start()
        wait(lambda: device()["doubled"])
        assert "edge fleet enroll NAME" in device()["hint"]
        status = site.fleet.edge("status")
        assert (status["devices"], status["online"], status["doubled"]) == (1, 1, [DEVICE])
        assert f"Two agents speak as {DEVICE}." in printed(site, "devices")
        assert f"two agents speak as {DEVICE}." in printed(site, "status")
        told_so = [e for e in site.fleet.edge("audit")["entries"] if e["what"] == "two agents"]
        before = site.agent.status()["traffic"]["hellos"]
        wait(lambda: site.agent.status()["traffic"]["hellos"] > before + 10)
        assert site.fleet.log.count("Two agents speak") == len(told_so) == 1, "no flood"

        # Enrolling anew ends both; the second gets a name of its own.
        site.fleet.edge("enroll", DEVICE, "-o", str(site.agent.folder / "new.json"))
        for agent in (site.agent, twin):
            wait(lambda agent=agent: "not authorized" in refusal(agent))  # type: ignore[misc]
            agent.stop()
        shutil.move(site.agent.folder / "new.json", site.agent.folder / ENROLMENT)
        site.fleet.edge("enroll", "cam-2", "-o", str(twin.folder / ENROLMENT))
        for agent in (site.agent, twin):
            agent.start()
        wait(lambda: all(d["online"] for d in site.fleet.edge("devices")["devices"]))
        assert [d["doubled"] for d in site.fleet.edge("devices")["devices"]] == [False, False]
    finally:
        if twin.process is not None and twin.process.poll() is None:
            twin.stop()
        site.end()
