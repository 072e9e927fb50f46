"""A download that is cut, killed, starved of disk or lied to by it: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from trust_samples import MODEL, World, random_bytes

from device_agent.trust.part import PartFile
from edge_sdk.errors import ArtifactError, FleetError, UnavailableError, UsageError
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.wire import CHUNK_BYTES, Chunk

CONTENT = random_bytes(700_000)
OFFSETS = list(range(0, 700_000, CHUNK_BYTES))


def part(world: World, ref: ArtifactRef) -> Path:
    into = world.slot(ref, MODEL)
    return into.with_name(f"{into.name}.part")


def test_every_file_of_an_artifact_comes_once_and_identical(world: World) -> None:
    ref = world.publish()
    device = world.device()
    for _ in range(2):
        assert world.fetch(ref, device, MODEL) == CONTENT
        assert world.fetch(ref, device, "empty.txt") == b""
        assert world.fetch(ref, device, "notes.txt") == b"a few words"
    paths = [path for path, _ in world.wire.asked]
    assert len(paths) == len(set(world.wire.asked))
    assert sum(path.startswith("targets/") for path in paths) == len(OFFSETS) + 1
    assert sum(path.startswith("metadata/") for path in paths) == 4
    assert not list(world.folder.rglob("*.part"))


@pytest.mark.parametrize("answers", range(4 + len(OFFSETS)))
def test_a_cut_fetches_no_chunk_twice(world: World, answers: int) -> None:
    ref = world.publish()
    world.wire.cut_after = answers
    with pytest.raises(FleetError, match="cut"):
        world.fetch(ref, member=MODEL)
    assert not world.slot(ref, MODEL).exists()
    world.wire.cut_after = None
    assert world.fetch(ref, member=MODEL) == CONTENT
    assert sorted(world.wire.offsets("model.tflite")) == OFFSETS


def fetch_in_a_process(world: World, ref: ArtifactRef, die: int) -> int:
    script = Path(__file__).with_name("fetch_and_die.py")
    now, into, log = world.clock.now.isoformat(), world.slot(ref, MODEL), world.folder / "log"
    words = (world.folder, now, ref.digest, MODEL, into, log, die)
    paths = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, script, *map(str, words)], env=paths, check=False)
    return done.returncode


@pytest.mark.parametrize("answers", [0, 2, 5])
def test_a_kill_fetches_at_most_one_chunk_twice(world: World, answers: int) -> None:
    ref = world.publish()
    assert fetch_in_a_process(world, ref, answers) == -signal.SIGKILL
    assert not world.slot(ref, MODEL).exists()
    assert fetch_in_a_process(world, ref, -1) == 0
    assert world.slot(ref, MODEL).read_bytes() == CONTENT
    offsets = [int(line) for line in (world.folder / "log").read_text().split()]
    assert set(offsets) == set(OFFSETS)
    assert len(offsets) - len(OFFSETS) <= 1


def test_a_kill_before_the_name_is_given_fetches_nothing(world: World) -> None:
    ref = world.publish()
    path = part(world, ref)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert world.fetch(ref, member=MODEL) == CONTENT
    assert world.wire.offsets("model.tflite") == []


@pytest.mark.parametrize("left", [b"", b"rubbish", b"\0" * 900_000])
def test_a_part_that_is_none_of_ours_is_begun_anew(world: World, left: bytes) -> None:
    ref = world.publish()
    part(world, ref).parent.mkdir(parents=True)
    part(world, ref).write_bytes(left)
    assert world.fetch(ref, member=MODEL) == CONTENT


def test_a_map_that_lies_after_a_power_failure_costs_one_download(world: World) -> None:
    """The map says that all is here, and the blocks behind it never reached the disk."""
    ref = world.publish()
    part(world, ref).parent.mkdir(parents=True)
    part(world, ref).write_bytes(b"\0" * 700_000 + b"\1" * len(OFFSETS))
    assert world.fetch(ref, member=MODEL) == CONTENT
    assert sorted(world.wire.offsets("model.tflite")) == OFFSETS


def test_a_spoilt_file_in_its_place_is_fetched_again(world: World) -> None:
    ref = world.publish()
    into = world.slot(ref, MODEL)
    into.parent.mkdir(parents=True)
    into.write_bytes(b"spoilt")
    assert world.fetch(ref, member=MODEL) == CONTENT


def test_a_fleet_that_gives_less_at_a_time_is_asked_on(world: World) -> None:
    ref = world.publish()
    wire = world.wire

    async def sparing(path: str, offset: int, length: int) -> Chunk:
        return await wire(path, offset, min(length, 50_000))

    device = world.device()
    device._fetch = sparing
    assert world.fetch(ref, device, MODEL) == CONTENT


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_too_small_says_so_before_a_byte_is_fetched(world: World) -> None:
    ref = world.publish()
    installed = world.fetch(ref)
    with largest_file(300_000), pytest.raises(UnavailableError, match="no room") as caught:
        world.fetch(ref, member=MODEL)
    assert "df -h" in caught.value.hint
    assert not part(world, ref).exists()
    assert world.wire.offsets("model.tflite") == []
    assert world.fetch(ref) == installed
    assert world.fetch(ref, member=MODEL) == CONTENT


def test_a_disk_too_small_for_metadata_leaves_what_was_known(world: World) -> None:
    first = world.publish()
    world.fetch(first)
    device = world.device()
    second = world.publish("2.0.0")
    with largest_file(200), pytest.raises(UnavailableError, match="no room"):
        world.fetch(second, device)
    assert world.fetch(second, device)


def test_a_part_reports_what_is_missing(tmp_path: Path) -> None:
    size = 2 * CHUNK_BYTES + 5
    first = PartFile(tmp_path / "x.part", size)
    assert not first.resumed
    assert first.missing() == [(0, CHUNK_BYTES), (CHUNK_BYTES, CHUNK_BYTES), (2 * CHUNK_BYTES, 5)]
    first.write(2 * CHUNK_BYTES, b"12345")
    first.write(0, b"x" * CHUNK_BYTES)
    first.close()
    again = PartFile(tmp_path / "x.part", size)
    assert again.resumed
    assert again.missing() == [(CHUNK_BYTES, CHUNK_BYTES)]
    again.close()


def test_a_folder_that_cannot_be_made(world: World) -> None:
    ref = world.publish()
    world.slot(ref, MODEL).parents[3].mkdir(parents=True)
    (world.slot(ref, MODEL).parents[2]).write_bytes(b"a file where a folder should be")
    with pytest.raises(UsageError, match="cannot be"):
        world.fetch(ref, member=MODEL)


class Hanging:
    """A wire on which an answer to one path never comes."""

    def __init__(self, world: World, silent: str) -> None:
        self.wire, self.silent = world.wire, silent
        self.reached: asyncio.Event | None = None

    async def __call__(self, path: str, offset: int, length: int) -> Chunk:
        if self.reached is not None and path.endswith(self.silent):
            self.reached.set()
            await asyncio.Event().wait()
        return await self.wire(path, offset, length)


@pytest.mark.parametrize("silent", ["2.root.json", "timestamp.json", "model.tflite"])
def test_a_cancelled_download_ends_at_once_and_can_be_begun_again(
    world: World, silent: str
) -> None:
    before = threading.active_count()
    ref = world.publish()
    hanging = Hanging(world, silent)
    device = world.device()
    device._fetch = hanging
    into = world.slot(ref, MODEL)

    async def cancelled_then_again() -> None:
        hanging.reached = asyncio.Event()
        task = asyncio.create_task(device.fetch_file(ref.digest, MODEL, None, into))
        await hanging.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(asyncio.all_tasks()) == 1
        hanging.reached = None
        await device.fetch_file(ref.digest, MODEL, None, into)

    asyncio.run(cancelled_then_again())
    assert into.read_bytes() == CONTENT
    assert threading.active_count() == before


def test_two_files_at_a_time(world: World) -> None:
    ref = world.publish()
    other = world.publish("2.0.0", model=random_bytes(300_000, seed=3))
    device = world.device()

    async def both() -> None:
        await asyncio.gather(
            *(device.fetch_file(r.digest, MODEL, None, world.slot(r, MODEL)) for r in (ref, other))
        )

    asyncio.run(both())
    assert world.slot(ref, MODEL).read_bytes() == CONTENT
    assert world.slot(other, MODEL).read_bytes() == random_bytes(300_000, seed=3)


def test_after_a_refusal_the_chain_is_walked_anew(world: World) -> None:
    """An artifact that is published a moment after a device asked for it."""
    world.publish()
    device = world.device()
    later = world.publish("2.0.0")
    world.repository.withdraw(later.digest)
    with pytest.raises(ArtifactError, match="has not published"):
        world.fetch(later, device)
    world.publish("2.0.0")
    assert world.fetch(later, device)
