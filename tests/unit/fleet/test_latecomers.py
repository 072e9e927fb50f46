"""Devices that come after a rollout, over a real store and a real signature."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fleet_samples import NEW, OLD, a_rollout, an_app

from edge_sdk.spec.deployment import ArtifactRef, Assignment, Reported
from edge_sdk.trust.signing import DirectorKey
from fleet.core.rollout import Rollout, Stage
from fleet.director import Director
from fleet.latecomers import Latecomers
from fleet.stores import audit, devices, rollouts
from fleet.stores.rollouts import Member
from fleet.stores.store import Store

KEY = DirectorKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
NEWEST = ArtifactRef(digest="c" * 64, name="fashion", version="1.2.0")


class Late:
    """A fleet's store, and what watches it for latecomers."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(f"sqlite:///{folder / 'fleet.db'}")

        async def publish(topic: str, payload: bytes) -> None:
            raise AssertionError("the director is not running")

        director = Director(self.store, KEY.sign, publish, lambda: 1000)
        self.latecomers = Latecomers(self.store, director, lambda: 1000)
        self._numbers = iter(range(1, 100))

    def device(self, name: str, app: str = "fashion", **labels: str) -> None:
        def work(connection: Any) -> None:
            devices.add(connection, name, "secret", labels, 1)
            apps = {app: an_app(serving=None)} if app else {}
            devices.report_now(connection, name, Reported(apps=apps), 1)

        self.store.write_now(work)
        self.latecomers.reported(name)

    def rolled(self, *members: str, **changes: Any) -> Rollout:
        number = next(self._numbers)
        rollout = a_rollout(id=f"fashion-{number}", **{"stage": Stage.DONE, **changes})
        those = [Member(device, 1, None) for device in members]
        self.store.write_now(lambda c: rollouts.add(c, number, rollout, those))
        return rollout

    def look(self) -> None:
        reported, self.latecomers._reported = self.latecomers._reported, set()
        asyncio.run(self.latecomers._look(reported))

    def told(self, device: str) -> Assignment | None:
        found = self.store.read_now(lambda c: devices.one(c, device))
        assert found is not None
        return found.goal.apps.get("fashion") if found.goal else None


@pytest.fixture
def late(tmp_path: Path) -> Iterator[Late]:
    made = Late(tmp_path)
    yield made
    made.store.close()


def test_a_device_that_comes_later_gets_what_is_done(late: Late) -> None:
    late.device("pi-1")
    rollout = late.rolled("pi-1")
    late.look()
    assert late.told("pi-1") is None, "the rollout has had to do with it"
    late.device("pi-2")
    late.device("pi-3", app="doorbell")
    late.look()
    assert late.told("pi-2") == Assignment(serve=NEW, rollout=rollout.id)
    assert late.told("pi-3") is None
    members = late.store.read_now(lambda c: rollouts.members_of(c, rollout.id))
    assert [m.device for m in members] == ["pi-1", "pi-2"]
    (line,) = late.store.read_now(audit.newest)
    assert (line.what, line.subject) == ("rollout joined", "pi-2")
    late.latecomers.reported("pi-2")
    late.look()
    assert len(late.store.read_now(audit.newest)) == 1, "once"


def test_a_label_speaks_of_devices_to_come_and_a_list_does_not(late: Late) -> None:
    late.device("pi-1")
    late.rolled("pi-1", selector="pi-1")
    late.device("pi-2", site="berlin")
    late.look()
    assert late.told("pi-2") is None
    late.rolled("pi-1", selector="site=berlin", candidate=NEWEST)
    late.device("pi-3", site="paris")
    late.look()
    assert late.told("pi-2") == Assignment(serve=NEWEST, rollout="fashion-2")
    assert late.told("pi-3") is None


@pytest.mark.parametrize("stage", sorted(set(Stage) - {Stage.DONE}))
def test_what_is_not_done_is_no_offer_and_no_obstacle(late: Late, stage: Stage) -> None:
    late.device("pi-1")
    late.rolled("pi-1")
    late.rolled("pi-1", candidate=NEWEST, stage=stage)
    late.device("pi-2")
    late.look()
    assert late.told("pi-2") == Assignment(serve=NEW, rollout="fashion-1")
    assert late.told("pi-1") is None, "it has had to do with a later one"


def test_who_came_in_the_middle_catches_up_when_it_is_done(late: Late) -> None:
    late.device("pi-1")
    late.rolled("pi-1")
    late.device("pi-2")
    late.look()
    late.rolled("pi-1", candidate=NEWEST)
    late.look()
    assert late.told("pi-2") == Assignment(serve=NEWEST, rollout="fashion-2")


def test_who_serves_it_already_is_left_alone(late: Late) -> None:
    late.device("pi-0")
    late.rolled("pi-0", candidate=OLD)
    late.device("pi-1")
    late.store.write_now(
        lambda c: devices.report_now(c, "pi-1", Reported(apps={"fashion": an_app()}), 2)
    )
    late.look()
    assert late.told("pi-1") is None
