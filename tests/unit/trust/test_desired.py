"""Desired: accepted from the director alone, for this device alone, and never an older one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trust_samples import DEVICE, World, desired

from device_agent.trust.memory import Remembered
from edge_sdk.errors import ArtifactError, UsageError
from edge_sdk.spec.deployment import DESIRED_CONTEXT, Signed
from edge_sdk.trust.signing import DirectorKey, key_id


def changed(signed: Signed, **changes: object) -> Signed:
    return msgspec.structs.replace(signed, **changes)


def test_the_directors_word_is_accepted_and_kept_over_a_restart(world: World) -> None:
    device = world.device()
    assert device.desired is None
    assert device.accept(world.repository.sign_desired(desired(1))) == desired(1)
    assert device.accept(world.repository.sign_desired(desired(7))) == desired(7)
    assert world.device().desired == desired(7)


def test_the_same_word_twice_does_no_harm(world: World) -> None:
    signed = world.repository.sign_desired(desired(3))
    device = world.device()
    assert device.accept(signed) == device.accept(signed) == desired(3)
    assert world.device().accept(signed) == desired(3)


def test_a_replayed_older_word_is_refused_over_a_restart(world: World) -> None:
    old = world.repository.sign_desired(desired(1))
    device = world.device()
    device.accept(old)
    device.accept(world.repository.sign_desired(desired(2)))
    for again in (device, world.device()):
        with pytest.raises(ArtifactError, match="counter 1 came after 2"):
            again.accept(old)
        assert again.desired == desired(2)


def test_two_words_of_one_counter_are_refused(world: World) -> None:
    device = world.device()
    device.accept(world.repository.sign_desired(desired(4)))
    other = msgspec.structs.replace(desired(4), issued_ms=2)
    with pytest.raises(ArtifactError, match="Two different Desired have the counter 4"):
        device.accept(world.repository.sign_desired(other))


def test_another_key_is_refused_whatever_it_says_of_itself(world: World) -> None:
    stranger = DirectorKey(Ed25519PrivateKey.generate())
    forged = stranger.sign(desired(1))
    device = world.device()
    with pytest.raises(ArtifactError, match="not by this fleet's director"):
        device.accept(forged)
    with pytest.raises(ArtifactError, match="altered or forged"):
        device.accept(changed(forged, key=key_id(world.repository.director_public)))
    assert device.desired is None


def test_another_devices_word_is_refused(world: World) -> None:
    signed = world.repository.sign_desired(desired(1, device="pi-2"))
    with pytest.raises(ArtifactError, match="for the device 'pi-2' came to 'pi-1'"):
        world.device().accept(signed)


def test_every_flipped_byte_is_found(world: World) -> None:
    signed = world.repository.sign_desired(desired(1))
    device = world.device()
    tried = 0
    for part in ("payload", "signature"):
        good: bytes = getattr(signed, part)
        for place in range(len(good)):
            bad = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
            with pytest.raises(ArtifactError, match="altered or forged"):
                device.accept(changed(signed, **{part: bad}))
            tried += 1
    assert tried == len(signed.payload) + 64
    assert device.accept(signed) == desired(1)


@pytest.mark.parametrize("signature", [b"", b"\0" * 63, b"\0" * 64, b"\0" * 65])
def test_a_signature_that_is_none_is_refused(world: World, signature: bytes) -> None:
    signed = world.repository.sign_desired(desired(1))
    with pytest.raises(ArtifactError, match="altered or forged"):
        world.device().accept(changed(signed, signature=signature))


def test_a_signature_for_another_purpose_does_not_fit(world: World) -> None:
    private = Ed25519PrivateKey.generate()
    key = DirectorKey(private)
    enrolment = msgspec.structs.replace(world.enrolment(), director=key.public)
    device = world.device(enrolment)
    signed = key.sign(desired(1))
    with pytest.raises(ArtifactError, match="altered or forged"):
        device.accept(changed(signed, signature=private.sign(signed.payload)))
    assert device.accept(signed) == desired(1)


def test_what_is_rightly_signed_but_unreadable_names_the_remedy(world: World) -> None:
    private = Ed25519PrivateKey.generate()
    key = DirectorKey(private)
    payload = b"\x91\x01"
    signed = Signed(
        payload=payload, key=key_id(key.public), signature=private.sign(DESIRED_CONTEXT + payload)
    )
    device = world.device(msgspec.structs.replace(world.enrolment(), director=key.public))
    with pytest.raises(ArtifactError, match="cannot be read here") as caught:
        device.accept(signed)
    assert "upgrade" in caught.value.hint


def test_a_field_of_a_newer_fleet_survives(world: World) -> None:
    private = Ed25519PrivateKey.generate()
    key = DirectorKey(private)
    newer = {**msgspec.to_builtins(desired(1)), "mood": "sunny"}
    payload = msgspec.msgpack.encode(newer)
    signed = Signed(
        payload=payload, key=key_id(key.public), signature=private.sign(DESIRED_CONTEXT + payload)
    )
    enrolment = msgspec.structs.replace(world.enrolment(), director=key.public)
    assert world.device(enrolment).accept(signed) == desired(1)
    kept = msgspec.json.decode(memory(world).read_bytes(), type=Remembered)
    assert kept.newest == signed
    assert world.device(enrolment).desired == desired(1)


def memory(world: World) -> Path:
    return world.folder / DEVICE / "memory.json"


def test_a_spoilt_memory_counts_as_forgotten(world: World) -> None:
    world.device().accept(world.repository.sign_desired(desired(5)))
    memory(world).write_bytes(b"\0\0")
    device = world.device()
    assert device.desired is None
    assert device.accept(world.repository.sign_desired(desired(6))) == desired(6)


def test_enrolment_into_another_fleet_forgets_the_first(world: World) -> None:
    world.device().accept(world.repository.sign_desired(desired(5)))
    other = world.opened("other")
    device = world.device(world.enrolment(other))
    assert device.desired is None
    assert device.accept(other.sign_desired(desired(1))) == desired(1)


def test_a_memory_that_somebody_wrote_into_is_proved_again(world: World) -> None:
    world.device().accept(world.repository.sign_desired(desired(5)))
    told = msgspec.json.decode(memory(world).read_bytes())
    forged = DirectorKey(Ed25519PrivateKey.generate()).sign(desired(9))
    told["newest"] = msgspec.to_builtins(forged)
    memory(world).write_bytes(msgspec.json.encode(told))
    assert world.device().desired is None


def test_what_cannot_be_remembered_is_not_accepted(world: World) -> None:
    device = world.device()
    device.accept(world.repository.sign_desired(desired(1)))
    memory(world).unlink()
    memory(world).mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        device.accept(world.repository.sign_desired(desired(2)))
    assert device.desired == desired(1)
