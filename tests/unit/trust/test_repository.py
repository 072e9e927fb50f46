"""The fleet's repository: what it makes, publishes, renews, serves and refuses."""

from __future__ import annotations

import os
import stat
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from trust_samples import MODEL, START, World, random_bytes, write_artifact
from tuf.api.metadata import Metadata, Root, Targets, Timestamp

from edge_sdk.artifact import Artifact
from edge_sdk.errors import ArtifactError, UnavailableError, UsageError
from edge_sdk.files import sha256, tree
from edge_sdk.spec.wire import CHUNK_BYTES
from edge_sdk.trust.chain import read_root
from fleet.trust.shelf import KEPT

DAYS = {"root": 365, "targets": 90, "snapshot": 7, "timestamp": 1}


def state(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in tree(folder).items()}


def newest(world: World, role: str) -> Metadata:
    files = world.repository.public.glob(f"metadata/*{role}.json")
    return max((Metadata.from_bytes(f.read_bytes()) for f in files), key=lambda m: m.signed.version)


def test_the_first_start_makes_keys_that_only_their_owner_reads(world: World) -> None:
    keys = world.folder / "trust" / "keys"
    assert {path.name for path in keys.iterdir()} == {
        "director.pem",
        *(f"{role}.1.pem" for role in DAYS),
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys.iterdir()} == {0o600}
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    root = read_root(world.repository.root_bytes)
    ids = [key for role in DAYS for key in root.roles[role].keyids]
    assert len(set(ids)) == 4
    assert root.consistent_snapshot
    assert len(world.repository.director_public) == 32
    assert b"PRIVATE" not in b"".join(state(world.repository.public).values())


@pytest.mark.parametrize("role", DAYS)
def test_how_long_a_role_is_valid(world: World, role: str) -> None:
    assert newest(world, role).signed.expires == START + timedelta(days=DAYS[role])


def test_a_restart_changes_nothing(world: World) -> None:
    world.publish()
    before = state(world.folder / "trust")
    again = world.opened()
    assert state(world.folder / "trust") == before
    assert again.root_bytes == world.repository.root_bytes
    assert again.director_public == world.repository.director_public
    assert again.published == world.repository.published


def test_publishing_twice_changes_nothing(world: World) -> None:
    first = world.publish()
    before = state(world.folder / "trust")
    assert world.publish() == first
    assert state(world.folder / "trust") == before
    assert world.repository.published == {first.digest: first}


def test_publishing_again_brings_back_a_lost_or_spoilt_blob(world: World) -> None:
    ref = world.publish()
    blobs = world.folder / "trust" / "blobs"
    lost, spoilt = sha256(random_bytes(700_000)), sha256(b"a few words")
    (blobs / lost[:2] / lost).unlink()
    (blobs / spoilt[:2] / spoilt).write_bytes(b"spoilt")
    world.publish()
    assert world.fetch(ref, member=MODEL) == random_bytes(700_000)
    assert world.fetch(ref, member="notes.txt") == b"a few words"


def test_one_version_cannot_mean_two_things(world: World) -> None:
    first = world.publish()
    before = state(world.folder / "trust")
    with pytest.raises(UsageError, match=r"scale 1\.0\.0 is already published") as caught:
        world.publish(model=b"other")
    assert "--version" in caught.value.hint
    assert state(world.folder / "trust") == before
    assert list(world.repository.published) == [first.digest]


def test_a_corrupt_artifact_is_not_published(world: World) -> None:
    path = write_artifact(world.folder / "x.edge")
    data = bytearray(path.read_bytes())
    data[data.index(random_bytes(64))] ^= 1
    path.write_bytes(data)
    before = state(world.folder / "trust")
    with Artifact(path) as artifact, pytest.raises(ArtifactError, match="corrupt"):
        world.repository.publish(artifact)
    assert state(world.folder / "trust") == before


def test_withdrawn_means_never_installed_anew(world: World) -> None:
    ref = world.publish()
    kept = world.publish("2.0.0")
    world.fetch(ref)
    world.repository.withdraw(ref.digest)
    assert list(world.opened().published) == [kept.digest]
    with pytest.raises(ArtifactError, match="has not published"):
        world.fetch(ref)
    assert world.slot(ref, "manifest.json").exists(), "what is installed stays"
    with pytest.raises(UsageError, match="is published"):
        world.repository.withdraw(ref.digest)


def test_a_list_that_devices_would_not_read_is_not_released(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = world.publish()
    size = len((world.repository.public / "metadata" / "2.targets.json").read_bytes())
    monkeypatch.setattr("fleet.trust.repository.LIMITS.targets_max_length", size + 100)
    before = state(world.repository.public)
    with pytest.raises(UsageError, match="list of files is full"):
        world.publish("2.0.0")
    assert state(world.repository.public) == before
    assert world.fetch(first)


@pytest.mark.parametrize(
    ("later", "due"),
    [
        (timedelta(hours=11), ()),
        (timedelta(hours=12), ("timestamp",)),
        (timedelta(days=4), ("snapshot", "timestamp")),
        (timedelta(days=45), ("targets", "snapshot", "timestamp")),
        (timedelta(days=200), ("root", "targets", "snapshot", "timestamp")),
    ],
)
def test_what_is_renewed_and_when(world: World, later: timedelta, due: tuple[str, ...]) -> None:
    before = {role: newest(world, role).signed.version for role in DAYS}
    world.clock.now += later
    assert world.repository.refresh() == due
    assert world.repository.refresh() == (), "once is enough"
    after = {role: newest(world, role).signed.version for role in DAYS}
    assert after == {role: before[role] + (role in due) for role in DAYS}
    assert world.fetch(world.publish())


def test_a_fleet_that_slept_for_years_wakes_up_fresh(world: World) -> None:
    pinned = world.enrolment()
    world.clock.move(days=1500)
    world.repository = world.wire.repository = world.opened()
    assert world.fetch(world.publish(), world.device(pinned))


def test_the_root_key_may_live_elsewhere(world: World) -> None:
    key = world.folder / "trust" / "keys" / "root.1.pem"
    elsewhere = key.rename(world.folder / "safe.pem")
    world.clock.move(days=200)
    assert world.opened().refresh() == ()  # renewed on opening, all but root
    assert newest(world, "root").signed.version == 1
    world.repository = world.wire.repository = world.opened()
    assert world.fetch(world.publish())
    with pytest.raises(UnavailableError, match=r"root key .* is not in the fleet's key folder"):
        world.repository.rotate("root")
    elsewhere.rename(key)
    assert world.repository.refresh() == ("root",)


def test_a_key_that_is_missing_changes_nothing(world: World) -> None:
    (world.folder / "trust" / "keys" / "targets.1.pem").unlink()
    before = state(world.repository.public)
    with pytest.raises(UnavailableError, match="targets key"):
        world.publish()
    assert state(world.repository.public) == before


def test_rotation_of_what_is_no_role(world: World) -> None:
    with pytest.raises(UsageError, match="no role 'director'"):
        world.repository.rotate("director")


def test_metadata_on_the_fleets_own_disk_is_not_believed(world: World) -> None:
    world.publish()
    metadata = world.repository.public / "metadata"
    for name in ("timestamp.json", "2.snapshot.json", "2.targets.json", "1.root.json"):
        good = (metadata / name).read_bytes()
        for bad in (b"", good[:-50], good.replace(b'"version":', b'"version": 1')):
            (metadata / name).write_bytes(bad)
            with pytest.raises(UnavailableError, match=r"trust|signed") as caught:
                world.opened()
            assert "backup" in caught.value.hint
        (metadata / name).write_bytes(good)
    assert world.opened().published


def test_a_list_that_somebody_slipped_in_is_not_signed_for_him(world: World) -> None:
    world.publish()
    path = world.repository.public / "metadata" / "2.targets.json"
    listed = Metadata[Targets].from_bytes(path.read_bytes())
    listed.signed.targets.clear()
    path.write_bytes(listed.to_bytes())
    with pytest.raises(UnavailableError):
        world.opened()


def test_lost_roots_are_not_replaced(world: World) -> None:
    world.publish()
    (world.repository.public / "metadata" / "1.root.json").unlink()
    with pytest.raises(UnavailableError, match="has lost its roots"):
        world.opened()


def test_a_key_file_that_is_none(world: World) -> None:
    (world.folder / "trust" / "keys" / "director.pem").write_bytes(b"no key")
    with pytest.raises(UnavailableError, match="cannot be read"):
        world.opened()


def test_reading_in_parts(world: World) -> None:
    world.publish()
    whole = (world.repository.public / "metadata" / "timestamp.json").read_bytes()
    path = "metadata/timestamp.json"
    chunk = world.repository.read(path, 10, 20)
    assert (chunk.path, chunk.offset, chunk.size) == (path, 10, len(whole))
    assert chunk.data == whole[10:30]
    assert world.repository.read(path, len(whole), 5).data == b""
    assert world.repository.read(path, 10**12, 5).data == b""
    assert world.repository.read(path, 0, -1).data == b""


def test_no_answer_is_larger_than_a_chunk(world: World) -> None:
    world.publish()
    path = next(p for p in world.repository._served if p.endswith("model.tflite"))
    chunk = world.repository.read(path, 0, 1 << 40)
    assert len(chunk.data) == CHUNK_BYTES
    assert chunk.size == 700_000
    assert world.repository.read(path, 699_999, CHUNK_BYTES).data == random_bytes(700_000)[-1:]
    assert world.repository.read(path, 700_000, CHUNK_BYTES).data == b""


@pytest.mark.parametrize(
    "path",
    [
        "",
        "metadata/",
        "metadata/../../keys/root.1.pem",
        "metadata/0.root.json",
        "metadata/99.root.json",
        "metadata/root.json\n",
        "metadata/2.other.json",
        "targets/",
        "targets/../keys/root.1.pem",
        "keys/root.1.pem",
        "/etc/passwd",
        "targets/" + "0" * 64 + "/" + "0" * 64 + ".manifest.json",
    ],
)
def test_nothing_else_is_served(world: World, path: str) -> None:
    world.publish()
    chunk = world.repository.read(path, 0, 100)
    assert (chunk.missing, chunk.data, chunk.path) == (True, b"", path)


def test_an_offset_before_the_beginning(world: World) -> None:
    assert world.repository.read("metadata/timestamp.json", -1, 5).missing


def test_a_blob_that_is_lost_is_missing_and_says_so(world: World) -> None:
    world.publish()
    digest = sha256(random_bytes(700_000))
    (world.folder / "trust" / "blobs" / digest[:2] / digest).unlink()
    path = next(p for p in world.repository._served if p.endswith("model.tflite"))
    assert world.repository.read(path, 0, 5).missing


def test_old_lists_go_and_roots_stay(world: World) -> None:
    world.repository.rotate("root")
    for _ in range(KEPT + 5):
        world.clock.move(days=46)
        world.repository.refresh()
    names = {path.name for path in (world.repository.public / "metadata").iterdir()}
    lists = [name for name in names if "targets" in name]
    assert len(lists) == KEPT
    version = newest(world, "root").signed.version
    assert {f"{n}.root.json" for n in range(1, version + 1)} <= names
    assert world.fetch(world.publish())


def test_root_json_is_the_newest_root(world: World) -> None:
    pinned = world.repository.public / "root.json"
    assert pinned.read_bytes() == world.repository.root_bytes
    world.repository.rotate("root")
    assert pinned.read_bytes() == world.repository.root_bytes
    assert Metadata[Root].from_bytes(pinned.read_bytes()).signed.version == 2
    pinned.unlink()
    world.opened()
    assert Metadata[Root].from_bytes(pinned.read_bytes()).signed.version == 2


def test_threads_publish_and_read_side_by_side(world: World) -> None:
    paths = [
        write_artifact(world.folder / f"{n}.edge", f"{n}.0.0", model=random_bytes(900, n))
        for n in range(6)
    ]
    failures: list[BaseException] = []

    def publish(path: Path) -> None:
        try:
            with Artifact(path) as artifact:
                world.repository.publish(artifact)
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=publish, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        data = world.repository.read("metadata/timestamp.json", 0, CHUNK_BYTES).data
        Metadata[Timestamp].from_bytes(data)
    for thread in threads:
        thread.join()
    assert not failures
    assert len(world.opened().published) == 6


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError):
        World(tmp_path)


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "trust").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        World(tmp_path)
