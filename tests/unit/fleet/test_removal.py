"""A device that is let go: what ends, what stays, and that nothing waits for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_samples import NEW, OLD
from rollout_site import APP, Site

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.spec.deployment import AppState, Reported
from edge_sdk.spec.enrolment import Enrolment
from fleet.core.rollout import Abort, Resume, RollBack, Stage
from fleet.core.situation import NOBODY
from fleet.latecomers import Latecomers
from fleet.refusals import NotFoundError
from fleet.stores import audit, devices, rollouts, telemetry


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "fleet.db")
    made.enroll(6)
    yield made
    made.store.close()


def enrolled(site: Site, device: str) -> Enrolment:
    return asyncio.run(site.registry.enroll(device, {}))


def test_its_credentials_end_and_the_trail_stays(site: Site) -> None:
    enrolled(site, "pi-00")
    assert set(site.admitted) == {f"pi-{i:02}" for i in range(6)}
    site.store.write_now(site._serve)
    report = asyncio.run(site.registry.remove("pi-00"))
    assert (report.serves, report.left, report.ended) == ({APP: "fashion@1.0.0"}, (), True)
    assert set(site.admitted) == {f"pi-{i:02}" for i in range(1, 6)}
    assert not site.registry.knows("pi-00")
    assert "pi-00" not in site.store.read_now(devices.names)
    assert site.store.read_now(lambda c: devices.one(c, "pi-00")) is None
    assert len(site.store.read_now(devices.all_of)) == 5
    trail = site.store.read_now(lambda c: audit.newest(c, 9, "pi-00"))
    assert [e.what for e in trail] == ["removed", "enrolled again"]
    assert trail[0].detail == "fashion serves fashion@1.0.0"
    assert site.store.read_now(lambda c: telemetry.totals(c, "pi-00")).windows == 1, "it ages"
    assert "pi-00" not in {m.device for m in site.store.read_now(lambda c: telemetry.models(c, 0))}
    site.restart()
    assert not site.registry.knows("pi-00"), "nor after a restart"
    for device in ("pi-00", "nobody"):
        with pytest.raises(NotFoundError, match=f"no device '{device}'"):
            asyncio.run(site.registry.remove(device))


def test_a_broker_that_does_not_listen_is_said(site: Site) -> None:
    site.broker_problem = "The broker did not take its users."
    with pytest.raises(UnavailableError, match=r"pi-00 is removed.* did not end: The broker") as it:
        site.remove("pi-00")
    assert "Restart the fleet" in it.value.hint
    assert not site.registry.knows("pi-00")


def test_its_secret_is_forgotten(site: Site, tmp_path: Path) -> None:
    secret = enrolled(site, "pi-00").credentials.password
    site.remove("pi-00")
    site.restart()
    assert secret.encode() not in (tmp_path / "fleet.db").read_bytes()


def test_enrolled_anew_it_begins_anew(site: Site) -> None:
    rollout = site.until(site.start(waves=()), Stage.DONE)
    assert site.serving(NEW) == {f"pi-{i:02}" for i in range(6)}
    site.remove("pi-00")
    enrolled(site, "pi-00")
    device = site.store.read_now(lambda c: devices.one(c, "pi-00"))
    assert device is not None
    assert (device.profile, device.seen_ms, device.labels) == (None, None, {})
    assert (device.reported, device.enrolled_ms) == (Reported(), site.now_ms)
    assert site.store.read_now(lambda c: telemetry.totals(c, "pi-00")).windows == 0
    signed = site.store.write_now(lambda c: site.director.introduce(c, "pi-00", 40))
    assert signed is not None
    device = site.store.read_now(lambda c: devices.one(c, "pi-00"))
    assert device is not None
    assert device.goal is not None
    assert device.goal.counter == 41, "it may remember more than the fleet does"
    said = Reported(counter=41, apps={APP: AppState(serving=OLD)})
    site.store.write_now(lambda c: devices.report_now(c, "pi-00", said, site.now_ms))
    watch = Latecomers(site.store, site.director, lambda: site.now_ms)
    asyncio.run(watch._look({"pi-00"}))
    site.turn(rollout)
    assert "pi-00" in site.serving(NEW), "what is done is done for it too"


@pytest.mark.parametrize("number", [1, 2])
def test_a_rollout_goes_on_without_it(site: Site, number: int) -> None:
    rollout = site.until(site.start(canary_share=0.2, waves=(0.5, 1.0)), Stage.ROLLING, number)
    wave = sorted(site.wave(rollout, number))
    site.away = {wave[0]}
    for _ in range(5):
        rollout = site.turn(rollout)
    assert (rollout.stage, rollout.wave) == (Stage.ROLLING, number), "it is waited for"
    site.now_ms += 200_000
    assert site.remove(wave[0]) == (rollout.id,)
    begun_ms = site.now_ms
    rollout = site.until(rollout, Stage.DONE)
    assert site.now_ms - begun_ms < 60_000, "by the deadline it would be"
    assert wave[0] not in site.report(rollout).devices
    assert len(site.serving(NEW)) == 5


def test_a_whole_wave_can_go(site: Site) -> None:
    rollout = site.until(site.start(canary_share=0.2, waves=(0.5, 1.0)), Stage.ROLLING, 1)
    for device in site.wave(rollout, 1):
        site.remove(device)
    assert site.until(rollout, Stage.DONE).wave == 2
    assert len(site.serving(NEW)) == 4


def test_what_a_removed_device_did_is_not_held_against_the_version(site: Site) -> None:
    rollout = site.until(site.start(canary_share=0.2, waves=(0.5, 1.0)), Stage.ROLLING, 1)
    broken = sorted(site.wave(rollout, 1))[0]
    site.bad = {broken}
    site.store.write_now(site._obey)
    site.store.write_now(site._serve)
    site.remove(broken)
    site.until(rollout, Stage.DONE)


@pytest.mark.parametrize("stage", [Stage.SHADOWING, Stage.CANARY])
def test_without_its_canary_a_rollout_stops_and_says_why(site: Site, stage: Stage) -> None:
    rollout = site.until(site.start(waves=()), stage)
    (canary,) = site.wave(rollout, 0)
    site.remove(canary)
    rollout = site.until(rollout, Stage.PAUSED)
    assert rollout.reason == NOBODY
    again = site.until(site.act(rollout, Resume), Stage.PAUSED)
    assert site.act(again, Abort).stage is Stage.ABORTED
    site.until(site.start(waves=()), Stage.DONE)
    assert len(site.serving(NEW)) == 5


def test_a_rollback_does_not_wait_for_it_and_does_not_touch_its_successor(site: Site) -> None:
    rollout = site.turn(site.until(site.start(waves=()), Stage.ROLLING))
    gone = sorted(site.wave(rollout, 1))[0]
    site.away = {gone}
    rollout = site.act(rollout, RollBack)
    for _ in range(3):
        rollout = site.turn(rollout)
    assert rollout.stage is Stage.ROLLING_BACK
    site.remove(gone)
    enrolled(site, gone)
    assert site.until(rollout, Stage.ROLLED_BACK).stage is Stage.ROLLED_BACK
    device = site.store.read_now(lambda c: devices.one(c, gone))
    assert device is not None
    assert device.goal is not None
    assert device.goal.apps == {}


def test_all_can_go(site: Site) -> None:
    rollout = site.until(site.start(waves=()), Stage.ROLLING)
    for number in range(6):
        site.remove(f"pi-{number:02}")
    rollout = site.until(rollout, Stage.PAUSED)
    assert rollout.reason == NOBODY
    assert site.store.read_now(lambda c: rollouts.members_of(c, rollout.id)) == []
    site.act(rollout, Abort)
    with pytest.raises(UsageError, match="No device of 'all'"):
        site.start()
