"""Rollouts in waves, over a real store and a real signature; devices obey in the same moment."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_samples import NEW, OLD
from rollout_site import AWAY_S, Site

from edge_sdk.errors import UsageError
from fleet.core.rollout import Abort, Pause, Resume, RollBack, Stage
from fleet.dashboard.view import rollout_cards
from fleet.latecomers import Latecomers
from fleet.stores import audit, devices, rollouts

OLD_DATABASE = Path(__file__).with_name("fleet_0002.sql")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path / "fleet.db")
    made.enroll(20)
    yield made
    made.store.close()


def test_each_wave_serves_before_the_next_is_told(site: Site) -> None:
    rollout = site.start()
    waves = [site.wave(rollout, number) for number in range(4)]
    assert [len(wave) for wave in waves] == [2, 4, 4, 10]
    rollout = site.until(rollout, Stage.CANARY)
    told = set(waves[0])
    for number in (1, 2, 3):
        rollout = site.until(rollout, Stage.ROLLING, number)
        assert site.serving(NEW) == told, "until now, those before"
        told |= waves[number]
        while rollout.wave == number and rollout.stage is Stage.ROLLING:
            rollout = site.turn(rollout)
        assert site.serving(NEW) == told
    assert rollout.stage is Stage.DONE
    assert [line.partition(";")[0] for line in site.trail(rollout)][3:] == [
        "rollout rolling: wave 1 of 3",
        "rollout rolling: wave 2 of 3",
        "rollout rolling: wave 3 of 3",
        "rollout done: failed devices 0 % ≤ 5 % (n=10)",
    ]


def test_a_wave_soaks(site: Site) -> None:
    rollout = site.until(site.start(soak_s=20), Stage.ROLLING, 1)
    rollout = site.turn(rollout)
    assert rollout.arrived_ms == site.now_ms
    for _ in range(9):
        rollout = site.turn(rollout)
        assert rollout.wave == 1
    assert site.turn(rollout).wave == 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_wave_that_fails_takes_it_back_from_all_before_it(site: Site, number: int) -> None:
    rollout = site.until(site.start(), Stage.ROLLING, number)
    site.bad = site.wave(rollout, number)
    rollout = site.until(rollout, Stage.ROLLING_BACK)
    assert "errors 50 % > 1 %" in rollout.reason
    rollout = site.until(rollout, Stage.ROLLED_BACK)
    assert site.serving(OLD) == {f"pi-{i:02}" for i in range(20)}
    later = {d for n in range(number + 1, 4) for d in site.wave(rollout, n)}
    everyone = site.store.read_now(devices.all_of)
    assert {d.device for d in everyone if d.goal is None} == later, "those were never told"
    assert f"wave {number} of 3" in site.trail(rollout)[-1]


def test_a_wave_is_judged_by_itself_however_good_those_before_it_were(site: Site) -> None:
    """One bad device of ten thousand inferences before it would be lost in the sum."""
    rollout = site.until(site.start(), Stage.ROLLING, 2)
    for _ in range(3):  # those before it go on serving well, and it is not heard
        site.away = site.wave(rollout, 2)
        rollout = site.turn(rollout)
    assert (rollout.stage, rollout.wave) == (Stage.ROLLING, 2)
    report = site.report(rollout)
    errors = next(line for line in report.evidence if line.measure == "errors")
    assert (errors.samples, report.outcome) == (0, "inconclusive"), "what others showed is not its"
    site.away = set()
    site.slow = {sorted(site.wave(rollout, 2))[0]}
    rollout = site.until(rollout, Stage.ROLLING_BACK)
    assert "p99 ratio on" in rollout.reason
    assert site.slow.pop() in rollout.reason


def test_a_device_of_an_earlier_wave_that_turns_bad_stops_a_later_one(site: Site) -> None:
    rollout = site.until(site.start(), Stage.ROLLING, 3)
    site.bad = site.wave(rollout, 1)
    rollout = site.until(rollout, Stage.ROLLING_BACK)
    assert "errors" in rollout.reason


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_wave_can_be_paused_resumed_aborted_and_taken_back(site: Site, number: int) -> None:
    rollout = site.until(site.start(), Stage.ROLLING, number)
    paused = site.act(site.turn(rollout), Pause)
    told = site.serving(NEW)
    for _ in range(5):
        paused = site.turn(paused)
    assert (paused.stage, paused.wave, site.serving(NEW)) == (Stage.PAUSED, number, told)
    assert site.report(paused).waves[number - 1].state == "goes"
    resumed = site.act(paused, Resume)
    assert (resumed.stage, resumed.wave, resumed.arrived_ms) == (Stage.ROLLING, number, 0)
    aborted = site.act(site.turn(resumed), Abort)
    for _ in range(3):
        aborted = site.turn(aborted)
    assert (aborted.stage, site.serving(NEW)) == (Stage.ABORTED, told)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_every_wave_can_be_taken_back(site: Site, number: int) -> None:
    rollout = site.turn(site.until(site.start(), Stage.ROLLING, number))
    assert site.serving(NEW) >= site.wave(rollout, number)
    site.until(site.act(rollout, RollBack), Stage.ROLLED_BACK)
    assert len(site.serving(OLD)) == 20


def test_a_done_rollout_can_be_taken_back_from_every_wave(site: Site) -> None:
    rollout = site.until(site.start(), Stage.DONE)
    site.until(site.act(rollout, RollBack), Stage.ROLLED_BACK)
    assert len(site.serving(OLD)) == 20


def test_killed_in_the_middle_of_a_wave_it_goes_on_where_it_was(site: Site) -> None:
    rollout = site.until(site.start(), Stage.ROLLING, 2)
    waves = [site.wave(rollout, number) for number in range(4)]
    told = {d.device for d in site.store.read_now(devices.all_of) if d.goal is not None}
    assert told == waves[0] | waves[1] | waves[2]
    site.restart()
    assert site.store.read_now(lambda c: rollouts.one(c, rollout.id)) == rollout
    site.until(rollout, Stage.DONE)
    assert [site.wave(rollout, number) for number in range(4)] == waves


def test_nobody_changes_wave_as_the_fleet_grows_and_latecomers_come_when_it_is_done(
    site: Site,
) -> None:
    rollout = site.until(site.start(), Stage.ROLLING, 1)
    waves = [site.wave(rollout, number) for number in range(4)]
    site.enroll(30, first=20)
    late = {f"pi-{i:02}" for i in range(20, 50)}
    watch = Latecomers(site.store, site.director, lambda: site.now_ms)
    for device in late:
        watch.reported(device)
    while rollout.stage is not Stage.DONE:
        asyncio.run(watch._look(late))
        assert [site.wave(rollout, number) for number in range(4)] == waves
        assert not site.serving(NEW) & late
        rollout = site.turn(rollout)
    asyncio.run(watch._look(late))
    assert [site.wave(rollout, number) for number in range(4)] == [*waves[:3], waves[3] | late]
    site.turn(rollout)
    assert site.serving(NEW) >= late
    site.until(site.act(rollout, RollBack), Stage.ROLLED_BACK)
    assert not site.serving(NEW), "a latecomer's too"


def test_devices_that_are_away_hold_up_no_early_wave(site: Site) -> None:
    site.away = {f"pi-{i:02}" for i in range(0, 20, 4)}
    site.now_ms += (AWAY_S + 1) * 1000
    site.store.write_now(site._obey)
    rollout = site.start(deadline_s=60)
    begun_ms = site.now_ms
    rollout = site.until(rollout, Stage.ROLLING, 3)
    assert site.now_ms - begun_ms < 60_000
    assert site.away <= site.wave(rollout, 3)
    rollout = site.until(rollout, Stage.DONE)
    assert rollout.reason.endswith("5 devices not heard from; told when back")
    assert len(site.serving(NEW)) == 15
    site.away = set()
    site.turn(rollout)
    assert len(site.serving(NEW)) == 20


def test_what_is_asked_for_is_checked_by_the_fleet_too(site: Site) -> None:
    for waves in ((0.5, 0.2, 1.0), (0.5,), (0.1, 1.0)):
        with pytest.raises(UsageError):
            site.start(waves=waves)


def test_it_is_shown(site: Site) -> None:
    rollout = site.turn(site.until(site.start(), Stage.ROLLING, 2))
    report = site.report(rollout)
    assert [(w.wave, w.share, w.state, len(w.devices)) for w in report.waves] == [
        (1, 0.3, "passed", 4),
        (2, 0.5, "goes", 4),
        (3, 1.0, "waits", 10),
    ]
    assert [w.places for w in report.waves] == [{"arrived": 4}, {"arrived": 4}, {}]
    (card,) = rollout_cards([report])
    assert [(step["name"], step["tone"]) for step in card["steps"]] == [
        ("shadow", "past"),
        ("canary", "past"),
        ("30 %", "past"),
        ("50 % · 4 of 4", "now "),
        ("all", ""),
        ("done", ""),
    ]
    assert [place["part"] for place in card["places"]][:5] == ["wave 2"] * 4 + ["canary"]
    paused = site.act(rollout, Pause)
    (card,) = rollout_cards([site.report(paused)])
    assert card["steps"][3] == {"name": "50 % · 4 of 4: paused", "tone": "now wait"}


# ------------------------------------------------------------------ databases of deployed fleets


@pytest.fixture
def old_site(tmp_path: Path) -> Iterator[Site]:
    """A fleet's database as edgeloop wrote it before there were waves: its second rollout rolls."""
    path = tmp_path / "old.db"
    with sqlite3.connect(path) as database:
        database.executescript(OLD_DATABASE.read_text())
        assert database.execute("select * from alembic_version").fetchall() == [("0002",)]
        ((newest_ms,),) = database.execute("select max(at_ms) from events").fetchall()
    database.close()
    made = Site(path, newest_ms)
    yield made
    made.store.close()


def test_an_old_database_opens_and_its_rollout_goes_on(old_site: Site) -> None:
    (going,) = old_site.store.read_now(rollouts.unfinished)
    assert (going.id, going.stage, going.wave, going.waves) == (
        "fashion-2",
        Stage.ROLLING,
        1,
        (1.0,),
    )
    members = old_site.store.read_now(lambda c: rollouts.members_of(c, going.id))
    assert sorted(member.wave for member in members) == [0, 1, 1, 1]
    assert all(member.incumbent == OLD for member in members)
    old_site.until(going, Stage.DONE)
    assert len(old_site.serving(NEW)) == 4
    assert set(old_site.store.read_now(devices.passwords)) == {f"pi-{i}" for i in range(1, 5)}
    assert len(old_site.store.read_now(audit.newest)) > 4


def test_an_old_rollout_can_still_be_taken_back(old_site: Site) -> None:
    (going,) = old_site.store.read_now(rollouts.unfinished)
    old_site.until(old_site.act(old_site.turn(going), RollBack), Stage.ROLLED_BACK)
    assert len(old_site.serving(OLD)) == 4


def test_an_old_database_is_good_for_waves(old_site: Site) -> None:
    (going,) = old_site.store.read_now(rollouts.unfinished)
    old_site.act(old_site.until(going, Stage.DONE), RollBack)
    old_site.turn(going)
    old_site.turn(going)
    rollout = old_site.start(waves=(0.5, 1.0))
    assert [len(old_site.wave(rollout, number)) for number in range(3)] == [1, 1, 2]
    old_site.until(rollout, Stage.DONE)


def test_opening_an_old_database_twice_changes_nothing_more(old_site: Site) -> None:
    before = old_site.store.read_now(devices.all_of)
    old_site.restart()
    assert old_site.store.read_now(devices.all_of) == before
