"""What a device downloads: what it needs, once; and after a cut, what is still missing."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from agent_samples import AgentProcess, SmallFleet, device
from brokers import NatsServer, Server, eventually, running

from edge_sdk.spec.deployment import ArtifactRef, State
from edge_sdk.spec.wire import Chunk, Message

CHUNKS = 20
BALLAST = CHUNKS * 131_072 - 2000


class SlowFleet(SmallFleet):
    """One behind a slow line: each chunk is some time on its way."""

    def say(self, message: Message, answers: str = "") -> None:
        late_s = 0.05 if isinstance(message, Chunk) else 0.0
        asyncio.get_running_loop().call_later(late_s, super().say, message, answers)


class Download:
    """A device that brings in an artifact of several builds over a slow line."""

    def __init__(self, folder: Path, server: Server, in_flight: int) -> None:
        self.fleet = SlowFleet(folder, server)
        self.agent: AgentProcess = device(folder, self.fleet, requests_in_flight=in_flight)
        self.artifact: ArtifactRef = self.fleet.publish("1.0.0", others=True, ballast=BALLAST)

    def answered(self) -> Counter[tuple[str, int]]:
        """How often each chunk of the artifact was given."""
        return Counter(key for key in self.fleet.asked if key[0].startswith("targets/"))

    async def reach(self, chunks: int) -> None:
        """Wait until so many chunks of the model have been given."""
        await eventually(
            lambda: sum(path.endswith(".onnx") for path, _ in self.fleet.asked) >= chunks
        )

    async def end(self, counter: int) -> None:
        """It comes to its end, and only what was needed was ever given."""
        app = await self.fleet.settled(counter)
        assert (app.state, app.serving) == (State.COMMITTED, self.artifact)
        names = {path.rpartition("/")[2].partition(".")[2] for path, _ in self.answered()}
        assert names == {"manifest.json", "golden.npz", "baseline.json", "model.onnx"}
        assert sum(path.endswith(".onnx") for path, _ in self.answered()) == CHUNKS


def played(folder: Path, in_flight: int, cut: str) -> Counter[tuple[str, int]]:
    """One download, cut in the middle or not; how often each chunk was given."""

    async def play() -> Counter[tuple[str, int]]:
        server = NatsServer(folder)
        await server.start()
        download = Download(folder, server, in_flight)
        agent = download.agent
        try:
            async with running(download.fleet.broker):
                counter = download.fleet.want(download.artifact)
                agent.start()
                if cut:
                    await download.reach(CHUNKS // 2)
                if cut == "kill":
                    agent.kill()
                    agent.start()
                elif cut == "connection":
                    await server.kill()
                    await server.start()
                await download.end(counter)
        finally:
            if agent.process is not None and agent.process.poll() is None:
                agent.stop()
            await server.stop()
        return download.answered()

    return asyncio.run(play())


def test_the_one_build_that_fits_comes_once(tmp_path: Path) -> None:
    assert set(played(tmp_path, 4, "").values()) == {1}


@pytest.mark.parametrize("cut", ["kill", "connection"])
@pytest.mark.parametrize("in_flight", [1, 4])
def test_after_a_cut_only_what_was_on_its_way_comes_again(
    tmp_path: Path, in_flight: int, cut: str
) -> None:
    """What had arrived is not asked for again; one request on its way is one chunk."""
    given = played(tmp_path, in_flight, cut)
    assert max(given.values()) <= 2
    assert sum(count - 1 for count in given.values()) <= in_flight
