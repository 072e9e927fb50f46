"""A real fleet process with its real broker, operated by its real commands; devices are scripted.

One story, told once: enrol, publish, fetch, first rollout, a good one, a bad one, the fleet killed
in between. And what a fleet refuses.
"""

import asyncio
import json
import shutil
import stat
import urllib.request
from pathlib import Path
from typing import Any

from fleet_bench import APP, Bench, devices, publish, samples
from fleet_process import FleetProcess, run
from scripted_device import ScriptedDevice, eventually

from edge_sdk.files import sha256


async def rolled_out(fleet: FleetProcess, version: str, *, kill: bool = False) -> dict[str, Any]:
    """Start a rollout and wait for its end, perhaps with the fleet killed on the way."""
    words = ("rollout", "start", f"scale@{version}", "--app", APP, "--canary", "5%")
    begun = await fleet.ask(*words, "--limit", "soak_s=0.5")
    if kill:
        await asyncio.to_thread(fleet.kill)
        await asyncio.to_thread(fleet.start)
    done = await asyncio.to_thread(
        run,
        "fleet",
        "--data",
        str(fleet.data),
        "rollout",
        "status",
        begun["rollout"]["id"],
        "--wait",
    )
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if report["rollout"]["stage"] == "rolled_back" else 0)
    return report


def test_the_story(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolments = [await asyncio.to_thread(fleet.enroll, f"pi-{i}") for i in range(1, 5)]
        digests = [await asyncio.to_thread(publish, fleet, f"1.{i}.0") for i in range(3)]
        async with devices(*enrolments) as every:
            bench = Bench(every)
            working = asyncio.create_task(bench.run())

            await fetched(every[0], digests[0])

            first = await rolled_out(fleet, "1.0.0")
            assert first["rollout"]["stage"] == "done"
            assert not first["rollout"]["beside"]
            assert bench.served[digests[0]] == {d.device for d in every}

            good = await rolled_out(fleet, "1.1.0", kill=True)
            assert good["rollout"]["stage"] == "done"
            assert bench.shadowed[digests[1]] == set(good["canaries"])
            assert len(good["canaries"]) == 1

            bench.disagreeing.add(digests[2])
            bad = await rolled_out(fleet, "1.2.0", kill=True)
            assert bad["rollout"]["stage"] == "rolled_back"
            assert "disagreement 75 % > 15 %" in bad["rollout"]["reason"]
            assert bench.shadowed[digests[2]] == set(bad["canaries"])
            assert digests[2] not in bench.served
            assert all(d.reported.apps[APP].serving.digest == digests[1] for d in every)  # type: ignore[union-attr]

            trail = (await fleet.ask("audit"))["entries"]
            stages = [e["what"] for e in trail if e["subject"] == bad["rollout"]["id"]][::-1]
            assert stages == [
                "rollout created",
                "rollout shadowing",
                "rollout rolling_back",
                "rollout rolled_back",
            ]

            back = await fleet.ask("rollout", "rollback", good["rollout"]["id"], code=2)
            assert bad["rollout"]["id"] in back["error"]

            late = await asyncio.to_thread(fleet.enroll, "pi-5")
            async with devices(late) as (fifth,):
                await eventually(
                    lambda: fifth.reported.apps[APP].serving, "it gets what the others have"
                )
                serving = fifth.reported.apps[APP].serving
                assert serving is not None
                assert serving.digest == digests[1]

            working.cancel()
            await eventually(lambda: not any(d.outbox for d in every), "all acknowledged")
            known = {d["device"]: d for d in (await fleet.ask("devices"))["devices"]}
            for said in (known[d.device] for d in every):
                assert said["online"]
                assert said["inferences"] == bench.inferences[said["device"]]
            models = (await fleet.ask("models"))["models"]
            assert {m["artifact"] for m in models} == {f"scale@1.{i}.0" for i in range(3)}

    asyncio.run(story())


async def fetched(device: ScriptedDevice, digest: str) -> None:
    """The manifest, as the chain of trust names it, arrives whole."""
    assert await device.fetch("metadata/99.root.json") is None
    targets = await device.fetch("metadata/2.targets.json")
    assert targets is not None
    manifest = await device.fetch(f"targets/{digest}/{digest}.manifest.json")
    assert manifest is not None
    assert sha256(manifest) == digest


def test_killed_in_the_middle_nothing_is_lost_or_doubled(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolment = await asyncio.to_thread(fleet.enroll, "pi-1")
        await asyncio.to_thread(publish, fleet, "1.0.0")
        async with devices(enrolment) as (device,):
            await rolled_out_quickly(fleet, device)
            sent = 0
            for _ in range(3):
                for _ in range(50):
                    sent += 7
                    device.serve(APP, 7)
                await asyncio.sleep(0.05)
                await asyncio.to_thread(fleet.kill)
                await asyncio.to_thread(fleet.start)
            await eventually(lambda: not device.outbox, "all acknowledged")
            (said,) = (await fleet.ask("devices"))["devices"]
            assert said["inferences"] == sent
            assert said["windows"] == 150
            counters = [desired.counter for desired in device.desired]
            assert counters == sorted(counters), "the counter never goes back"

    asyncio.run(story())


async def rolled_out_quickly(fleet: FleetProcess, device: ScriptedDevice) -> None:
    """Only as far as the canary, which is all there are."""
    await fleet.ask("rollout", "start", "scale@1.0.0", "--app", APP)
    await eventually(lambda: device.reported.apps[APP].serving, "the canary serves")


def test_a_fleet_that_comes_back_from_an_older_copy_goes_on(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolment = await asyncio.to_thread(fleet.enroll, "pi-1")
        await asyncio.to_thread(publish, fleet, "1.0.0")
        async with devices(enrolment) as (device,):
            await rolled_out_quickly(fleet, device)
            await fleet.ask("rollout", "abort", f"{APP}-1")
            await asyncio.to_thread(fleet.stop)
            copy = fleet.folder / "copy"
            shutil.copytree(fleet.data, copy)
            await asyncio.to_thread(fleet.start)
            newer = await asyncio.to_thread(publish, fleet, "1.1.0")
            await fleet.ask("rollout", "start", "scale@1.1.0", "--app", APP, "--to", "pi-1")
            await eventually(lambda: device.reported.apps[APP].shadow, "it shadows the newer one")
            await asyncio.to_thread(fleet.stop)
            ahead = device.reported.counter
            shutil.rmtree(fleet.data)
            copy.rename(fleet.data)
            await asyncio.to_thread(fleet.start)
            await eventually(lambda: device.reported.counter > ahead, "it listens to the copy")
            assert device.reported.apps[APP].shadow is None, "of which the copy knows nothing"
            assert await asyncio.to_thread(publish, fleet, "1.1.0") == newer
            await fleet.ask("rollout", "start", "scale@1.1.0", "--app", APP, "--to", "pi-1")
            await eventually(lambda: device.reported.apps[APP].shadow, "and goes on")

    asyncio.run(story())


def test_operators_can_pause_resume_abort_and_take_back(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolment = await asyncio.to_thread(fleet.enroll, "pi-1")
        await asyncio.to_thread(publish, fleet, "1.0.0")
        async with devices(enrolment) as (device,):
            await rolled_out_quickly(fleet, device)
            again = ("rollout", "start", "scale@1.0.0", "--app", APP)
            assert "is canary" in (await fleet.ask(*again, code=2))["error"]
            id_ = f"{APP}-1"
            paused = await fleet.ask("rollout", "pause", id_)
            assert paused["rollout"]["stage"] == "paused"
            resumed = await fleet.ask("rollout", "resume", id_)
            assert resumed["rollout"]["stage"] == "canary"
            assert "cannot resume" in (await fleet.ask("rollout", "resume", id_, code=2))["error"]
            aborted = await fleet.ask("rollout", "abort", id_)
            assert aborted["rollout"]["stage"] == "aborted"
            assert device.reported.apps[APP].serving is not None, "it keeps what it serves"
            assert "already" in (await fleet.ask(*again, code=2))["error"]

    asyncio.run(story())


def test_a_device_that_is_named_before_it_comes_is_told_when_it_does(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolment = await asyncio.to_thread(fleet.enroll, "pi-1")
        await asyncio.to_thread(publish, fleet, "1.0.0")
        begin = ("rollout", "start", "scale@1.0.0", "--app", APP)
        assert "No device of 'all'" in (await fleet.ask(*begin, code=2))["error"]
        begun = await fleet.ask(*begin, "--to", "pi-1")
        assert begun["canaries"] == ["pi-1"]
        async with devices(enrolment) as (device,):
            await eventually(lambda: device.reported.apps[APP].serving, "it is told")

    asyncio.run(story())


def test_a_first_rollout_taken_back_leaves_nothing(fleet: FleetProcess) -> None:
    async def story() -> None:
        enrolment = await asyncio.to_thread(fleet.enroll, "pi-1")
        await asyncio.to_thread(publish, fleet, "1.0.0")
        async with devices(enrolment) as (device,):
            await rolled_out_quickly(fleet, device)
            await fleet.ask("rollout", "rollback", f"{APP}-1", code=0)
            await eventually(lambda: device.reported.apps[APP].serving is None, "it is gone")
            status = await fleet.ask("rollout", "status", f"{APP}-1", "--wait", code=1)
            assert status["rollout"]["stage"] == "rolled_back"

    asyncio.run(story())


def test_what_it_refuses(fleet: FleetProcess, tmp_path: Path) -> None:
    assert (
        "no artifact"
        in fleet.edge("rollout", "start", "x@1.0.0", "--app", APP, code=2)["error"].lower()
    )
    publish(fleet, "1.0.0")
    other = tmp_path / "other.edge"
    samples.write(other, version="1.0.0", description="not the same")
    assert "other contents" in fleet.edge("publish", str(other), code=2)["error"]
    truncated = tmp_path / "truncated.edge"
    truncated.write_bytes(other.read_bytes()[:-50])
    assert fleet.edge("publish", str(truncated), code=4)["exit_code"] == 4
    assert list((fleet.data / "uploads").iterdir()) == []
    assert "cannot be read" in fleet.edge("publish", str(tmp_path / "none"), code=2)["error"]
    words = ("rollout", "start", "scale@1.0.0", "--app", APP)
    assert "No device" in fleet.edge(*words, code=2)["error"]
    assert "no rollout" in fleet.edge("rollout", "status", "x-1", code=2)["error"]
    assert "no limit" in fleet.edge(*words, "--limit", "soak=1", code=2)["error"]
    assert "device" in fleet.edge("enroll", "Pi_1", code=2)["error"]
    assert "label" in fleet.edge("enroll", "pi-1", "--label", "site", code=2)["error"]
    assert not Path("Pi_1.enrolment.json").exists()


def test_who_may(fleet: FleetProcess) -> None:
    token = Path(fleet.address["token_file"])
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    bearer = f"Bearer {token.read_text().strip()}"
    for path in ("devices", "artifacts", "rollouts", "models", "drift", "audit", "fleet"):
        assert fleet.http(f"/api/v1/{path}", Authorization=bearer)[0] == 200
        assert fleet.http(f"/api/v1/{path}")[0] == 401
    status, body = fleet.http("/api/v1/devices", Authorization="Bearer wrong")
    assert (status, json.loads(body)["error"]) == (401, "The token is not this fleet's.")
    assert fleet.http("/api/v1/devices/nobody", Authorization=bearer)[0] == 404
    assert fleet.http("/api/v1/nothing", Authorization=bearer)[0] == 404
    assert fleet.http("/api/v1/audit?most=x", Authorization=bearer)[0] == 400
    assert fleet.http("/events")[0] == 401
    status, text = fleet.http("/schema/openapi.json")
    schema = json.loads(text)
    assert {"/api/v1/devices", "/api/v1/rollouts/{rollout}/{action}"} <= set(schema["paths"])
    assert "/session" not in schema["paths"]
    wrong = fleet.folder / "wrong"
    wrong.write_text("nonsense")
    done = run("fleet", "devices", "--api", fleet.address["api"], "--token-file", str(wrong))
    assert (done.returncode, "token" in done.stderr) == (2, True)


def test_the_page_shows_itself_to_whoever_said_the_token(fleet: FleetProcess) -> None:
    status, page = fleet.http("/")
    assert (status, b"The fleet's token" in page) == (200, True)
    fleet.enroll("pi-9")
    bearer = f"Bearer {Path(fleet.address['token_file']).read_text().strip()}"
    request = urllib.request.Request(
        fleet.address["api"] + "/session", method="POST", headers={"Authorization": bearer}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert bearer.split()[1] not in cookie
    cookie = cookie.partition(";")[0]
    status, page = fleet.http("/", Cookie=cookie)
    assert (status, b"<b>pi-9</b>" in page) == (200, True)
    assert fleet.http("/api/v1/enroll", method="POST", Cookie=cookie)[0] == 401, "for looking alone"
    stream = urllib.request.Request(fleet.address["api"] + "/events", headers={"Cookie": cookie})
    with urllib.request.urlopen(stream, timeout=30) as events:
        assert events.readline() == b"event: sections\r\n"
        sections = json.loads(events.readline().removeprefix(b"data: "))
    assert "pi-9" in sections["devices"]


def test_one_fleet_a_folder_and_one_server_a_port(fleet: FleetProcess, tmp_path: Path) -> None:
    taken = fleet.address["api"].removeprefix("http://")
    second = run("fleet", "serve", "--data", str(fleet.data), "--listen", "127.0.0.1:0")
    assert (second.returncode, "Another fleet runs" in second.stderr) == (3, True)
    busy = run("fleet", "serve", "--data", str(tmp_path / "b"), "--listen", taken)
    assert (busy.returncode, "cannot listen" in busy.stderr) == (3, True)
    broker = fleet.address["broker"].removeprefix("mqtt://")
    words = ("--listen", "127.0.0.1:0", "--broker-listen", broker)
    busy = run("fleet", "serve", "--data", str(tmp_path / "c"), *words)
    assert (busy.returncode, "embedded broker cannot listen" in busy.stderr) == (3, True)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "thesis.txt").write_text("mine")
    other = run("fleet", "serve", "--data", str(strange))
    assert (other.returncode, "no fleet's folder" in other.stderr) == (2, True)
    assert [path.name for path in strange.iterdir()] == ["thesis.txt"]
    nobody = run("fleet", "devices", "--data", str(tmp_path / "none"))
    assert (nobody.returncode, "No fleet has been started" in nobody.stderr) == (2, True)
    gone = run(
        "fleet", "devices", "--api", "http://127.0.0.1:9", "--token-file", str(tmp_path / "t")
    )
    assert gone.returncode == 2
    (tmp_path / "t").write_text("x")
    gone = run(
        "fleet", "devices", "--api", "http://127.0.0.1:9", "--token-file", str(tmp_path / "t")
    )
    assert (gone.returncode, "No fleet answers" in gone.stderr) == (3, True)
