"""A rollout in waves through a real fleet process and its broker, killed in the middle of one."""

import asyncio
import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from fleet_bench import APP, Bench, devices, publish
from fleet_process import FleetProcess
from scripted_device import ScriptedDevice, eventually

COUNT = 8
WAVES = ("--canary", "12.5%", "--waves", "50%,100%", "--limit", "soak_s=0.5")


async def begin(fleet: FleetProcess, version: str, *words: str) -> str:
    begun = await fleet.ask("rollout", "start", f"scale@{version}", "--app", APP, *WAVES, *words)
    rollout: str = begun["rollout"]["id"]
    return rollout


async def until(fleet: FleetProcess, rollout: str, stage: str, wave: int = 0) -> dict[str, Any]:
    """Ask until it stands there."""
    for _ in range(300):
        report: dict[str, Any] = json.loads(
            await asyncio.to_thread(_get, fleet, f"rollouts/{rollout}")
        )
        now = report["rollout"]
        if now["stage"] == stage and wave in (0, now["wave"]):
            return report
        await asyncio.sleep(0.1)
    raise AssertionError(f"{rollout} is {now}, never {stage} {wave}")


def _get(fleet: FleetProcess, path: str) -> bytes:
    token = Path(fleet.address["token_file"]).read_text().strip()
    status, body = fleet.http(f"/api/v1/{path}", Authorization=f"Bearer {token}")
    assert status == 200, body
    return body


def serving(every: list[ScriptedDevice], digest: str) -> set[str]:
    return {
        device.device
        for device in every
        if (state := device.reported.apps[APP]).serving and state.serving.digest == digest
    }


def test_the_story_in_waves(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolments = [await asyncio.to_thread(fleet.enroll, f"pi-{i}") for i in range(COUNT)]
        digests = [await asyncio.to_thread(publish, fleet, f"1.{i}.0") for i in range(3)]
        async with devices(*enrolments) as every:
            bench = Bench(every)
            working = asyncio.create_task(bench.run())

            first = await begin(fleet, "1.0.0")
            await until(fleet, first, "done")
            assert len(serving(every, digests[0])) == COUNT

            # Killed in the midst of a wave, paused and resumed in another.
            good = await begin(fleet, "1.1.0", "--limit", "soak_s=3")
            report = await until(fleet, good, "rolling", 1)
            sizes = [len(wave["devices"]) for wave in report["waves"]]
            assert (len(report["canaries"]), sizes) == (1, [3, 4])
            before = {*report["canaries"], *report["waves"][0]["devices"]}
            await asyncio.to_thread(fleet.kill)
            await asyncio.to_thread(fleet.start)
            again = await until(fleet, good, "rolling", 1)
            assert [w["devices"] for w in again["waves"]] == [w["devices"] for w in report["waves"]]
            await eventually(lambda: serving(every, digests[1]) == before, "the first wave")
            text = await asyncio.to_thread(fleet.told, "rollout", "status", good)
            assert "is rolling, wave 1 of 2" in text
            assert "wave 1    to 50%: 3 devices, goes" in text
            assert "wave 2    to 100%: 4 devices, waits" in text
            shown = await asyncio.to_thread(fleet.page)
            assert '<li class="past">canary</li>' in shown
            assert '<li class="now ">50 % · ' in shown
            assert "· wave 1</span>" in shown
            await until(fleet, good, "rolling", 2)
            paused = await fleet.ask("rollout", "pause", good)
            assert (paused["rollout"]["stage"], paused["rollout"]["wave"]) == ("paused", 2)
            assert "is paused, wave 2 of 2" in await asyncio.to_thread(
                fleet.told, "rollout", "status", good
            )
            await fleet.ask("rollout", "resume", good)
            await until(fleet, good, "done")
            assert len(serving(every, digests[1])) == COUNT

            # Good on the canary, bad on the second wave: taken back from all who have it.
            bad = await begin(fleet, "1.2.0")
            report = await until(fleet, bad, "rolling", 2)
            bench.failing[digests[2]] = set(report["waves"][1]["devices"])
            ended = await until(fleet, bad, "rolled_back")
            assert "errors" in ended["rollout"]["reason"]
            assert bench.served[digests[2]] >= before_all(report)
            await eventually(lambda: len(serving(every, digests[1])) == COUNT, "all are back")
            trail = (await fleet.ask("audit", "--subject", bad))["entries"][::-1]
            assert [(e["what"], e["detail"].partition(";")[0]) for e in trail][3:5] == [
                ("rollout rolling", "wave 1 of 2"),
                ("rollout rolling", "wave 2 of 2"),
            ]
            assert [e["what"] for e in trail][5:] == [
                "rollout rolling_back",
                "rollout rolled_back",
            ]
            working.cancel()

    asyncio.run(story())


def before_all(report: dict[str, Any]) -> set[str]:
    return {*report["canaries"], *report["waves"][0]["devices"]}


def test_waves_that_lead_nowhere_are_refused_by_the_fleet_too(fleet: FleetProcess) -> None:
    token = Path(fleet.address["token_file"]).read_text().strip()
    for waves, said in (
        ([0.5, 0.25, 1], "25% comes after 50%"),
        ([0.5], "50% of the devices would never get it"),
        ([0, 1], "waves"),
        ([0.5, 1.01], "waves"),
        ("all", "waves"),
    ):
        body = {"artifact": "scale@1.0.0", "app": APP, "pace": {"waves": waves}}
        request = urllib.request.Request(
            fleet.address["api"] + "/api/v1/rollouts",
            data=json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        with refused.value:
            assert refused.value.code == 400
            assert said in refused.value.read().decode()
