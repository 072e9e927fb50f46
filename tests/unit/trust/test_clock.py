"""A device whose clock is wrong, and a fleet whose clock was."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from trust_samples import DEVICE, MODEL, START, Clock, Wire, World

from device_agent.trust import DeviceTrust
from edge_sdk.errors import ArtifactError, FleetError, UpdateError

EPOCH = Clock(datetime(1970, 1, 1, tzinfo=UTC))


def device_in_1970(world: World, name: str = DEVICE) -> DeviceTrust:
    return DeviceTrust(world.folder / name, world.enrolment(), world.wire, EPOCH.seconds)


def test_a_device_without_a_battery_installs(world: World) -> None:
    ref = world.publish()
    device = device_in_1970(world)
    assert device.now == START, "the enrolment says when it was made"
    assert world.fetch(ref, device)


def test_time_never_goes_back_behind_what_the_fleet_signed(world: World) -> None:
    ref = world.publish()
    old = world.folder / "old"
    shutil.copytree(world.folder / "trust", old)
    world.clock.move(days=30)
    world.repository.refresh()
    world.fetch(ref, device_in_1970(world))
    assert device_in_1970(world).now == START + timedelta(days=30)

    # A month-old state, replayed to a device that has lost its metadata but not its memory.
    shutil.rmtree(world.folder / DEVICE / "metadata")
    shutil.rmtree(world.folder / "slots")
    (world.folder / "replayed").mkdir()
    shutil.copytree(old, world.folder / "replayed" / "trust")
    world.wire = Wire(World(world.folder / "replayed").repository)
    with pytest.raises(UpdateError, match="2026-12-23 12:00"):
        world.fetch(ref, device_in_1970(world))
    assert world.fetch(ref, device_in_1970(world, name="knows nothing better"))


def test_a_clock_ahead_refuses_and_says_what_it_thinks(world: World) -> None:
    ref = world.publish()
    ahead = Clock(START + timedelta(days=9999))
    device = DeviceTrust(world.folder / DEVICE, world.enrolment(), world.wire, ahead.seconds)
    with pytest.raises(UpdateError, match="it is 2054-") as caught:
        world.fetch(ref, device)
    assert "date -u" in caught.value.hint
    assert world.fetch(ref), "nothing was remembered of the wrong time"


def test_a_fleets_clock_that_was_ahead_and_was_set_right(world: World) -> None:
    world.clock.move(days=4000)
    world.repository.refresh()
    early = world.device()
    world.fetch(world.publish("1.0.0"), early)
    world.clock.move(days=-4000)
    world.repository = world.wire.repository = world.opened()
    world.repository.refresh()
    for device in (early, world.device(name="another")):
        assert world.fetch(world.publish("2.0.0"), device)
        shutil.rmtree(world.folder / "slots")


def walks(world: World) -> int:
    return sum(path == "metadata/timestamp.json" for path, _ in world.wire.asked)


def test_a_walk_is_not_believed_for_ever(world: World) -> None:
    ref = world.publish()
    device = world.device()
    world.fetch(ref, device)
    world.fetch(ref, device, "notes.txt")
    assert walks(world) == 1
    world.clock.move(days=2)
    world.repository.refresh()
    world.fetch(ref, device, MODEL)
    assert walks(world) == 2


def test_an_artifact_withdrawn_while_it_is_fetched(world: World) -> None:
    ref = world.publish()
    device = world.device()
    world.fetch(ref, device)
    world.repository.withdraw(ref.digest)
    with pytest.raises(FleetError, match="does not have it"):
        world.fetch(ref, device, "notes.txt")
    with pytest.raises(ArtifactError, match="has not published"):
        world.fetch(ref, device, "notes.txt")


def test_a_month_without_the_fleet(world: World) -> None:
    first = world.publish("1.0.0")
    installed = world.fetch(first)
    world.clock.move(days=31)
    assert world.slot(first, "manifest.json").read_bytes() == installed
    second = world.publish("2.0.0")
    assert world.fetch(second), "back in touch, all is fresh again"
