"""What somebody in the middle, or with one of the keys, can try on a device; none of it works.

Every test first shows that the honest way works, or that the file installed before is untouched.
"""

from __future__ import annotations

import asyncio
from copy import deepcopy
from datetime import timedelta

import msgspec
import pytest
from trust_samples import MODEL, START, World, random_bytes
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from device_agent.trust import DeviceTrust
from edge_sdk.errors import ArtifactError, FleetError, UpdateError
from edge_sdk.files import sha256
from edge_sdk.spec import FileEntry
from edge_sdk.spec.deployment import ArtifactRef
from edge_sdk.spec.wire import CHUNK_BYTES, Chunk
from fleet.trust.keys import KeyRing


class Replay:
    """An attacker who answers from a copy of files, made or kept; all else passes."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def __call__(self, chunk: Chunk) -> Chunk:
        data = self.files.get(chunk.path)
        if data is None:
            return chunk
        part = data[chunk.offset : chunk.offset + CHUNK_BYTES]
        return Chunk(path=chunk.path, offset=chunk.offset, size=len(data), data=part)


def public(world: World) -> dict[str, bytes]:
    """The fleet's published metadata, by wire path."""
    folder = world.repository.public
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / "metadata").iterdir()
    }


def refused(
    world: World,
    ref: ArtifactRef,
    match: str,
    *,
    device: DeviceTrust | None = None,
    member: str = "manifest.json",
    error: type[Exception] = ArtifactError,
) -> None:
    """The file does not come, and nothing of it is left."""
    with pytest.raises(error, match=match):
        world.fetch(ref, device, member)
    into = world.slot(ref, member)
    assert not into.exists()
    assert not into.with_name(f"{into.name}.part").exists()


def sign(world: World, signed: Root | Targets | Snapshot | Timestamp, *roles: str) -> bytes:
    """With the fleet's own keys of those roles: what a thief of them could make."""
    keys = KeyRing(world.folder / "trust" / "keys")
    metadata: Metadata = Metadata(signed)
    for role in roles:
        metadata.sign(keys.make(role, 1), append=True)
    return metadata.to_bytes()


def test_rollback_of_the_timestamp(world: World) -> None:
    first = world.publish("1.0.0")
    world.fetch(first)
    old = public(world)
    second = world.publish("2.0.0")
    device = world.device()
    world.fetch(second, device)
    world.wire.tamper = Replay({"metadata/timestamp.json": old["metadata/timestamp.json"]})
    third = world.publish("3.0.0")
    for again in (device, world.device()):
        refused(world, third, "older than what was seen", device=again)


def test_rollback_of_the_snapshot_by_a_thief_of_the_timestamp_key(world: World) -> None:
    world.fetch(world.publish("1.0.0"))
    second = world.publish("2.0.0")
    world.fetch(second)
    timestamp = Metadata[Timestamp].from_bytes(public(world)["metadata/timestamp.json"]).signed
    timestamp.version += 1
    timestamp.snapshot_meta = MetaFile(timestamp.snapshot_meta.version - 1)
    world.wire.tamper = Replay({"metadata/timestamp.json": sign(world, timestamp, Timestamp.type)})
    refused(world, world.publish("3.0.0"), "older than what was seen")


def test_rollback_of_the_list_by_a_thief_of_snapshot_and_timestamp_keys(world: World) -> None:
    world.fetch(world.publish("1.0.0"))
    world.fetch(world.publish("2.0.0"))
    files = public(world)
    timestamp = Metadata[Timestamp].from_bytes(files["metadata/timestamp.json"]).signed
    version = timestamp.snapshot_meta.version
    snapshot = Metadata[Snapshot].from_bytes(files[f"metadata/{version}.snapshot.json"]).signed
    snapshot.version += 1
    snapshot.meta["targets.json"] = MetaFile(snapshot.meta["targets.json"].version - 1)
    timestamp.version += 1
    timestamp.snapshot_meta = MetaFile(snapshot.version)
    third = world.publish("3.0.0")
    world.wire.tamper = Replay(
        {
            "metadata/timestamp.json": sign(world, timestamp, Timestamp.type),
            f"metadata/{snapshot.version}.snapshot.json": sign(world, snapshot, Snapshot.type),
        }
    )
    refused(world, third, "older than what was seen")


def test_freeze(world: World) -> None:
    first = world.publish("1.0.0")
    installed = world.fetch(first)
    frozen = Replay({"metadata/timestamp.json": public(world)["metadata/timestamp.json"]})
    second = world.publish("2.0.0")
    world.wire.tamper = frozen
    world.clock.move(hours=25)
    with pytest.raises(UpdateError, match="too old to install anything new") as caught:
        world.fetch(second)
    assert "keeps running" in caught.value.message
    assert "date" in caught.value.hint
    assert world.slot(first, "manifest.json").read_bytes() == installed


def test_mix_and_match(world: World) -> None:
    world.publish("1.0.0")
    old = public(world)
    second = world.publish("2.0.0")
    new = public(world)
    snapshots = sorted(name for name in new if "snapshot" in name)
    lists = sorted(name for name in new if "targets" in name)
    for names in (snapshots, lists):
        world.wire.tamper = Replay({names[-1]: old[names[-2]]})
        refused(world, second, "not what was signed")
    world.wire.tamper = lambda chunk: chunk
    assert world.fetch(second)


def test_endless_metadata(world: World) -> None:
    ref = world.publish()
    for name in ("timestamp.json", "2.snapshot.json", "2.targets.json", "2.root.json"):
        asked = len(world.wire.asked)

        def endless(chunk: Chunk, name: str = name) -> Chunk:
            if not chunk.path.endswith(name):
                return chunk
            return Chunk(
                path=chunk.path, offset=chunk.offset, size=1 << 50, data=b" " * CHUNK_BYTES
            )

        world.wire.tamper = endless
        refused(world, ref, "not what was signed")
        assert len(world.wire.asked) - asked < 25


@pytest.mark.parametrize(
    ("change", "match"),
    [
        pytest.param({"size": 1 << 40}, "where 700000 are signed", id="too long"),
        pytest.param({"size": 699_999}, "where 700000 are signed", id="too short"),
        pytest.param({"data": b"x" * (CHUNK_BYTES + 1)}, "where 131072 were asked", id="stuffed"),
        pytest.param({"data": b""}, "^0 bytes", id="empty"),
        pytest.param({"path": "targets/other"}, "Bytes of targets/other", id="other file"),
        pytest.param({"offset": 5}, "at 5 came", id="other place"),
    ],
)
def test_an_answer_to_another_question(world: World, change: dict[str, object], match: str) -> None:
    ref = world.publish()
    world.wire.tamper = lambda chunk: (
        msgspec.structs.replace(chunk, **change)
        if chunk.path.endswith("model.tflite") and chunk.offset == 0
        else chunk
    )
    refused(world, ref, match, member=MODEL)
    world.wire.tamper = lambda chunk: chunk
    assert world.fetch(ref, member=MODEL) == random_bytes(700_000)


def flipped(chunk: Chunk) -> Chunk:
    data = chunk.data[:-1] + bytes([chunk.data[-1] ^ 1])
    return msgspec.structs.replace(chunk, data=data)


@pytest.mark.parametrize("place", range(0, 700_000, CHUNK_BYTES))
def test_a_flipped_bit_in_any_chunk_of_a_target(world: World, place: int) -> None:
    ref = world.publish()
    world.wire.tamper = lambda chunk: (
        flipped(chunk) if chunk.path.endswith("model.tflite") and chunk.offset == place else chunk
    )
    refused(world, ref, "not the file that the fleet signed", member=MODEL)


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_a_flipped_bit_in_metadata(world: World, name: str) -> None:
    ref = world.publish()
    whole = public(world)[f"metadata/{name}"]
    for place in range(0, len(whole), 37):
        bad = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        world.wire.tamper = Replay({f"metadata/{name}": bad})
        device = world.device(name=f"{name}-{place}")
        with pytest.raises(ArtifactError):
            world.fetch(ref, device)
    assert not world.slot(ref, "manifest.json").exists()


def test_another_published_file_in_its_place(world: World) -> None:
    ref = world.publish()
    other = world.publish("2.0.0", model=random_bytes(700_000, seed=2))
    assert other != ref
    world.wire.tamper = Replay(
        {path: random_bytes(700_000, seed=2) for path in served(world, ref, MODEL)}
    )
    refused(world, ref, "not the file that the fleet signed", member=MODEL)


def served(world: World, ref: ArtifactRef, member: str) -> list[str]:
    digest = sha256(random_bytes(700_000))
    folder, _, name = member.rpartition("/")
    path = f"targets/{ref.digest}/{folder}/{digest}.{name}"
    assert not world.repository.read(path, 0, 1).missing
    return [path]


def test_a_manifest_that_contradicts_the_list(world: World) -> None:
    ref = world.publish()
    into = world.slot(ref, MODEL)
    wrong = FileEntry(sha256="0" * 64, size=700_000)
    with pytest.raises(ArtifactError, match="manifest and the fleet's signed list disagree"):
        asyncio.run(world.device().fetch_file(ref.digest, MODEL, wrong, into))
    assert not into.exists()
    right = FileEntry(sha256=sha256(random_bytes(700_000)), size=700_000)
    asyncio.run(world.device().fetch_file(ref.digest, MODEL, right, into))
    assert into.read_bytes() == random_bytes(700_000)


def test_a_manifest_under_another_artifacts_digest(world: World) -> None:
    """A thief of the targets key could list it; the digest in the Desired still says no."""
    ref = world.publish()
    files = public(world)
    targets = Metadata[Targets].from_bytes(files["metadata/2.targets.json"]).signed
    path = f"{ref.digest}/manifest.json"
    targets.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])
    world.wire.tamper = Replay(released(world, targets, Targets.type))
    refused(world, ref, "names another file")


def released(world: World, targets: Targets, by: str) -> dict[str, bytes]:
    """A new list with all that leads to it; the list itself signed by the key of ``by``."""
    files = public(world)
    timestamp = Metadata[Timestamp].from_bytes(files["metadata/timestamp.json"]).signed
    last = timestamp.snapshot_meta.version
    snapshot = Metadata[Snapshot].from_bytes(files[f"metadata/{last}.snapshot.json"]).signed
    targets.version += 1
    snapshot.version += 1
    timestamp.version += 1
    snapshot.meta["targets.json"] = MetaFile(targets.version)
    timestamp.snapshot_meta = MetaFile(snapshot.version)
    return {
        f"metadata/{targets.version}.targets.json": sign(world, targets, by),
        f"metadata/{snapshot.version}.snapshot.json": sign(world, snapshot, Snapshot.type),
        "metadata/timestamp.json": sign(world, timestamp, Timestamp.type),
    }


def test_the_keys_kept_online_for_freshness_cannot_publish(world: World) -> None:
    ref = world.publish()
    targets = Metadata[Targets].from_bytes(public(world)["metadata/2.targets.json"]).signed
    world.wire.tamper = Replay(released(world, deepcopy(targets), Snapshot.type))
    refused(world, ref, "not signed by this fleet's keys")
    world.wire.tamper = Replay(released(world, deepcopy(targets), Targets.type))
    assert world.fetch(ref, world.device(name="another"))


def test_what_was_not_published(world: World) -> None:
    ref = world.publish()
    stranger = msgspec.structs.replace(ref, digest="cd" * 32)
    refused(world, stranger, "has not published")
    refused(world, ref, "has not published", member="variants/other")


def test_signed_but_lost_by_the_fleet(world: World) -> None:
    ref = world.publish()
    world.wire.tamper = lambda chunk: (
        Chunk(path=chunk.path, offset=chunk.offset, missing=True)
        if chunk.path.startswith("targets/")
        else chunk
    )
    with pytest.raises(FleetError, match=r"has signed .* but does not have it"):
        world.fetch(ref)


def test_no_timestamp_at_all(world: World) -> None:
    ref = world.publish()
    world.wire.tamper = lambda chunk: Chunk(path=chunk.path, offset=chunk.offset, missing=True)
    with pytest.raises(FleetError, match=r"there is no metadata/timestamp\.json"):
        world.fetch(ref)


@pytest.mark.parametrize("root", [b"{}", b"\0", b"[" * 100_000])
def test_enrolment_with_a_root_that_is_none(world: World, root: bytes) -> None:
    enrolment = msgspec.structs.replace(world.enrolment(), root=root)
    with pytest.raises(ArtifactError, match="root") as caught:
        world.device(enrolment)
    assert "enroll" in caught.value.hint


def test_enrolment_with_an_altered_root(world: World) -> None:
    root = Metadata[Root].from_bytes(world.repository.root_bytes)
    root.signed.expires += timedelta(days=9)
    with pytest.raises(ArtifactError, match="pinned root is not one"):
        world.device(msgspec.structs.replace(world.enrolment(), root=root.to_bytes()))


def test_enrolment_with_another_role_for_a_root(world: World) -> None:
    timestamp = public(world)["metadata/timestamp.json"]
    with pytest.raises(ArtifactError, match="A root was expected, not a timestamp"):
        world.device(msgspec.structs.replace(world.enrolment(), root=timestamp))


def test_enrolment_with_another_fleets_root(world: World) -> None:
    ref = world.publish()
    other = world.opened("other")
    wrong = msgspec.structs.replace(world.enrolment(), root=other.root_bytes)
    refused(world, ref, "not signed by this fleet's keys", device=world.device(wrong))
    # The same state folder, enrolled rightly, has not been spoilt.
    assert world.fetch(ref)


def test_a_new_root_that_the_old_one_did_not_sign(world: World) -> None:
    ref = world.publish()
    root = Metadata[Root].from_bytes(world.repository.root_bytes).signed
    stranger = KeyRing(world.folder / "stranger")
    root.version = 2
    root.revoke_key(root.roles[Root.type].keyids[0], Root.type)
    root.add_key(stranger.make(Root.type, 2).public_key, Root.type)
    metadata = Metadata(root)
    metadata.sign(stranger.make(Root.type, 2))
    world.wire.tamper = Replay({"metadata/2.root.json": metadata.to_bytes()})
    refused(world, ref, "not signed by this fleet's keys")


def test_an_old_root_offered_as_the_next(world: World) -> None:
    ref = world.publish()
    world.wire.tamper = Replay({"metadata/2.root.json": world.repository.root_bytes})
    refused(world, ref, "older than what was seen|not what was signed")


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_rotation_is_followed_and_the_old_key_is_worth_nothing(world: World, role: str) -> None:
    device = world.device()
    pinned = world.enrolment()
    world.fetch(world.publish("1.0.0"), device)
    world.repository.rotate(role)
    second = world.publish("2.0.0")
    world.fetch(second, device)
    world.fetch(world.publish("3.0.0"), world.device(pinned, name="enrolled long ago"))
    world.fetch(world.publish("4.0.0"), world.device(world.enrolment(), name="enrolled now"))
    if role == Timestamp.type:
        timestamp = Metadata[Timestamp].from_bytes(public(world)["metadata/timestamp.json"]).signed
        timestamp.version += 1
        world.wire.tamper = Replay(
            {"metadata/timestamp.json": sign(world, timestamp, Timestamp.type)}
        )
        refused(world, world.publish("5.0.0"), "not signed by this fleet's keys")


def test_start_is_before_every_expiry(world: World) -> None:
    """The clock of these tests stands where the metadata is fresh: no refusal was for age."""
    for data in public(world).values():
        assert Metadata.from_bytes(data).signed.expires > START
