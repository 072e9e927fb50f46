"""A real agent process, real workers, a real broker: what a device does, whatever happens to it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_samples import APP, DEVICE, AgentProcess, SmallFleet, device
from brokers import KINDS, Server, eventually, running

from edge_sdk.audit import verify
from edge_sdk.spec.deployment import Assignment, Desired, Signed, State
from edge_sdk.spec.enrolment import BrokerLogin
from edge_sdk.spec.wire import CHUNK_BYTES, DesiredMessage
from fleet.trust import TrustRepository

Scenario = Callable[[Server, Path], Awaitable[None]]


def played(*kinds: str) -> Callable[[Scenario], Callable[..., None]]:
    """Make a test for each kind of broker out of ``async def test_it(server, folder)``."""

    def decorate(scenario: Scenario) -> Callable[..., None]:
        @pytest.mark.parametrize("kind", kinds)
        def test(kind: str, tmp_path: Path) -> None:
            asyncio.run(play(kind, tmp_path))

        async def play(kind: str, folder: Path) -> None:
            server = KINDS[kind](folder)
            await server.start()
            try:
                await scenario(server, folder)
            finally:
                await server.stop()

        test.__name__ = getattr(scenario, "__name__", "test")
        return test

    return decorate


@asynccontextmanager
async def world(
    server: Server, folder: Path, **settings: object
) -> AsyncIterator[tuple[SmallFleet, AgentProcess]]:
    """A fleet on that broker, and an agent that is stopped at the end."""
    fleet = SmallFleet(folder, server)
    agent = device(folder, fleet, **settings)
    async with running(fleet.broker):
        try:
            yield fleet, agent
        except BaseException:
            print(agent.log)
            raise
        finally:
            if agent.process is not None and agent.process.poll() is None:
                agent.stop()


@played("nats", "mosquitto")
async def test_from_nothing_to_an_answering_model_and_on(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        counter = fleet.want(first)
        agent.start()
        app = await fleet.settled(counter)
        assert (app.state, app.serving, app.previous) == (State.COMMITTED, first, None)
        asked = list(fleet.asked)
        assert len(set(asked)) == len(asked), "every chunk is asked for once"
        await eventually(lambda: any(w.inferences for w in fleet.windows))

        app = await fleet.settled(fleet.want(second))
        assert (app.state, app.serving, app.previous) == (State.COMMITTED, second, first)
        status = agent.status()
        assert status["apps"][APP]["worker"]["serving"] == second.digest
        assert agent.stop() == 0
        assert agent.members() == []


@played("nats")
async def test_a_trail_of_what_it_served_goes_on_when_it_is_killed(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        agent.app_settings["audit"] = True
        log = agent.state / "audit" / f"{APP}.jsonl"
        artifact = fleet.publish("1.0.0")
        agent.start()
        await fleet.settled(fleet.want(artifact))
        await eventually(lambda: log.exists() and log.read_bytes().count(b"\n") > 5)
        agent.kill()
        before = verify(log).records
        agent.start()
        await eventually(lambda: log.read_bytes().count(b"\n") > before + 5)
        assert agent.stop() == 0
        found = verify(log)
        assert found.passed
        assert found.records > before
        last = json.loads(log.read_text().splitlines()[-1])
        assert last["model"]["digest"] == artifact.digest
        assert last["model"]["version"] == "1.0.0"


@played("nats")
async def test_killed_at_every_step_it_ends_where_it_would_have(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        before = set(fleet.asked)

        # Downloading: two of the model's three chunks have come.
        fleet.gives = lambda path, offset: offset < 2 * CHUNK_BYTES
        counter = fleet.want(second)
        # A part file ends with a byte per chunk: 1 for those that are on disk.
        parts = agent.state.rglob
        await eventually(lambda: any(p.read_bytes()[-3:].count(1) == 2 for p in parts("*.part")))
        await agent.reaches("downloading", 2)
        assert agent.serves(first.digest)
        agent.kill()
        agent.start()
        await eventually(lambda: agent.serves(first.digest))
        fleet.gives = lambda path, offset: True
        for state in ("verifying", "activating", "probation", "committed"):
            if state == "activating":  # the running worker does not get to take it up
                await eventually(lambda: agent.worker().get("pid"))
                os.kill(agent.worker()["pid"], signal.SIGSTOP)
            await agent.reaches(state, 2)
            agent.kill()
            agent.start()
        app = await fleet.settled(counter)
        assert (app.state, app.serving, app.previous) == (State.COMMITTED, second, first)
        assert (app.attempt, app.reason, app.refused) == (2, "", ())
        models = [each for each in fleet.asked if each[0].endswith(".onnx") and each not in before]
        assert len(models) == len(set(models)) == 3, "no chunk is fetched twice"
        slots = {path.name for path in (agent.state / "slots").iterdir()}
        assert slots == {first.digest, second.digest}
        assert fleet.hellos[-1].reported.apps[APP].serving == second


@played("nats")
async def test_a_candidate_that_is_not_right_leaves_the_running_one_alone(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        first = fleet.publish("1.0.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        worker = agent.worker()["pid"]
        candidates = {
            "differs": fleet.publish("1.1.0", golden_is_right=False),
            "onnx": fleet.publish("1.2.0", model=b"no model at all"),
            "0.9.0": fleet.publish("1.3.0", min_agent="0.9.0"),
        }
        for said, candidate in candidates.items():
            app = await fleet.settled(fleet.want(candidate))
            assert (app.state, app.serving, app.target) == (State.FAILED, first, None)
            assert said in app.reason.lower()
            assert f"colour {candidate.version}: " in app.reason
        assert agent.worker()["pid"] == worker, "the running model was not so much as restarted"
        slots = agent.state / "slots"
        await eventually(
            lambda: [path.name for path in slots.iterdir()] == [first.digest], "what is left goes"
        )
        app = await fleet.settled(fleet.want(first))
        assert (app.state, app.reason, app.refused) == (State.COMMITTED, "", ())


@played("nats")
async def test_a_full_disk_ends_the_download_and_nothing_else(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first, big = fleet.publish("1.0.0"), fleet.publish("2.0.0", ballast=900_000)
        agent.max_file_bytes = 700_000
        agent.start()
        await fleet.settled(fleet.want(first))
        app = await fleet.settled(fleet.want(big))
        assert (app.state, app.serving, app.refused) == (State.FAILED, first, ())
        assert "no room" in app.reason
        assert "df -h" in app.reason
        slots = agent.state / "slots"  # cleaned up after the report was made
        await eventually(
            lambda: [path.name for path in slots.iterdir()] == [first.digest], "what is left goes"
        )
        assert agent.serves(first.digest)
        # Room was made: the next start tries again by itself.
        agent.stop()
        agent.max_file_bytes = 0
        agent.start()
        await agent.reaches("committed", 3)
        assert agent.journal()["serving"]["version"] == "2.0.0"


@played("nats")
async def test_a_disk_that_must_keep_some_room(server: Server, folder: Path) -> None:
    async with world(server, folder, min_free_bytes=1 << 60) as (fleet, agent):
        agent.start()
        app = await fleet.settled(fleet.want(fleet.publish("1.0.0")))
        assert (app.state, app.serving) == (State.FAILED, None)
        assert "must stay free" in app.reason


@played("nats")
async def test_only_the_fleets_own_newest_word_is_obeyed(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        fleet.want(second)
        replayed = fleet.desired
        await fleet.settled(fleet.want(first))
        stranger = TrustRepository(folder / "stranger")

        def signed(by: TrustRepository, device: str = DEVICE, counter: int = 99) -> Signed:
            goal = {APP: Assignment(serve=second)}
            return by.sign_desired(Desired(device=device, counter=counter, issued_ms=1, apps=goal))

        genuine = signed(fleet.trust)
        flipped = genuine.payload.replace(b"c", b"d", 1)
        lies = [
            replayed,
            signed(stranger),
            signed(fleet.trust, device="cam-2"),
            Signed(payload=flipped, key=genuine.key, signature=genuine.signature),
        ]
        before = agent.status()["traffic"]
        for lie in lies:
            fleet.say(DesiredMessage(desired=lie))
        for garbage in (b"", b"\xff" * 100, b"{}"):
            fleet.say_bytes(garbage)

        def dropped(kind: str) -> int:
            return int(agent.status()["traffic"][kind]) - int(before[kind])

        await eventually(lambda: dropped("unwanted") == len(lies))
        await eventually(lambda: dropped("malformed") == 3)
        assert agent.serves(first.digest)
        assert agent.journal()["counter"] == 2
        app = await fleet.settled(fleet.want(second))
        assert app.serving == second


@played("nats")
async def test_a_worker_that_dies_in_probation_is_taken_back(server: Server, folder: Path) -> None:
    async with world(server, folder, probation_s=30.0) as (fleet, agent):
        first = fleet.publish("1.0.0")
        agent.settings["probation_s"] = 0.2
        agent.start()
        await fleet.settled(fleet.want(first))
        agent.stop()
        agent.settings["probation_s"] = 60.0
        agent.start()
        second = fleet.publish("1.1.0")
        counter = fleet.want(second)
        await agent.reaches("probation", 2)
        await eventually(lambda: agent.serves(second.digest))
        os.kill(agent.worker()["pid"], signal.SIGSEGV)
        app = await fleet.settled(counter)
        assert (app.state, app.serving, app.refused) == (
            State.ROLLED_BACK,
            first,
            (second.digest,),
        )
        assert "SIGSEGV" in app.reason
        await eventually(lambda: agent.serves(first.digest))
        await eventually(lambda: sum(w.crashes for w in fleet.windows) == 1)
        # The same wish again is not obeyed; after another one, it is.
        app = await fleet.settled(fleet.want(second))
        assert (app.state, app.attempt) == (State.ROLLED_BACK, 2)
        await fleet.settled(fleet.want(first))
        fleet.want(second)
        await agent.reaches("probation", 3)


@played("nats")
async def test_a_worker_that_dies_at_rest_is_started_again(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first = fleet.publish("1.0.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        await eventually(lambda: agent.serves(first.digest))
        before = agent.worker()["pid"]
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: agent.worker().get("pid") not in (0, None, before))
        await eventually(lambda: agent.serves(first.digest))
        assert (agent.worker()["starts"], agent.worker()["crashes"]) == (2, 1)
        assert agent.journal()["state"] == "committed"


@played("nats")
async def test_a_candidate_in_shadow(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        app = await fleet.settled(fleet.want(first, shadow=second))
        assert (app.state, app.serving, app.shadow) == (State.SHADOWING, first, second)
        await eventually(lambda: any(w.comparison and w.comparison.compared for w in fleet.windows))
        shadows = [w for w in fleet.windows if w.role == "shadow"]
        assert {w.artifact for w in shadows} == {second.digest}
        agent.kill()
        agent.start()
        await eventually(lambda: agent.worker().get("shadow") == second.digest)
        app = await fleet.settled(fleet.want(second))
        assert (app.state, app.serving, app.shadow) == (State.COMMITTED, second, None)


@played("nats")
async def test_back_by_hand(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        assert agent.edge("rollback", APP)[0] == 1, "there is nothing to go back to"
        counter = fleet.want(second)
        await fleet.settled(counter)
        code, status = agent.edge("rollback", APP)
        assert code == 0
        assert status["apps"][APP]["state"]["serving"]["version"] == "1.0.0"
        await eventually(lambda: agent.serves(first.digest))
        await eventually(lambda: fleet.app().state is State.ROLLED_BACK)
        assert fleet.app().refused == (second.digest,)
        code, error = agent.edge("rollback", "lok")
        assert (code, error["hint"]) == (2, "Did you mean 'look'?")


@played("nats")
async def test_a_newer_wish_overtakes_a_download_that_hangs(server: Server, folder: Path) -> None:
    async with world(server, folder) as (fleet, agent):
        first, second = fleet.publish("1.0.0"), fleet.publish("1.1.0")
        fleet.gives = lambda path, offset: not path.endswith(".onnx")
        agent.start()
        fleet.want(first)
        await eventually(lambda: any(path.endswith("golden.npz") for path, _ in fleet.asked))
        counter = fleet.want(second)
        await agent.reaches("downloading", 2)
        fleet.gives = lambda path, offset: True
        app = await fleet.settled(counter)
        assert (app.state, app.serving, app.previous) == (State.COMMITTED, second, None)
        assert [path.name for path in (agent.state / "slots").iterdir()] == [second.digest]


@played("nats")
async def test_the_broker_is_away_refuses_and_comes_back_empty(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        first = fleet.publish("1.0.0")
        fleet.enrolment(
            agent.folder / "cam-1.enrolment.json",
            credentials=BrokerLogin(username=DEVICE, password="wrong"),
        )
        agent.start()
        await eventually(lambda: agent.worker() != {})
        await eventually(lambda: "not authorized" in agent.status()["refusal"].lower())
        agent.stop()
        fleet.enrolment(agent.folder / "cam-1.enrolment.json")
        agent.start()
        await fleet.settled(fleet.want(first))
        await server.kill()
        await eventually(lambda: not agent.status()["connected"])
        assert agent.serves(first.digest)
        agent.kill()
        agent.start()  # without a broker, what was committed runs all the same
        await eventually(lambda: agent.serves(first.digest))
        await server.start()
        second = fleet.publish("1.1.0")
        counter = fleet.want(second)
        await eventually(lambda: fleet.broker.connected)
        assert (await fleet.settled(counter)).serving == second


@played("nats")
async def test_no_message_is_lost_or_doubled_by_a_fleet_that_does_not_listen(
    server: Server, folder: Path
) -> None:
    async with world(server, folder) as (fleet, agent):
        first = fleet.publish("1.0.0")
        agent.start()
        await fleet.settled(fleet.want(first))
        fleet.acknowledges = False
        seen = len(fleet.sequences)
        await eventually(lambda: len(set(fleet.sequences[seen:])) >= 3)
        unheard = set(fleet.sequences[seen:])
        agent.kill()
        fleet.acknowledges = True
        agent.start()
        await eventually(lambda: unheard <= fleet.received)
        numbers = [number for _, number in fleet.order]
        assert numbers == sorted(numbers) == list(range(1, len(numbers) + 1))
        assert len({name for name, _ in fleet.order}) == 1


@played("nats")
async def test_one_agent_a_state_folder(server: Server, folder: Path) -> None:
    async with world(server, folder) as (_, agent):
        agent.start()
        await eventually(lambda: agent.worker() != {})
        second = AgentProcess(agent.folder, agent.settings)
        second.start()
        assert second.process is not None
        assert second.process.wait(30) == 2
        assert f"Another agent runs on the state folder {agent.state}" in agent.log
        assert agent.status()["pid"] == agent.process.pid
        agent.stop()
        code, error = agent.edge("status")
        assert (code, error["hint"]) == (3, "edge agent run --config FILE")
