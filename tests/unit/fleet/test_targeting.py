"""Who is meant, and who goes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UsageError
from fleet.core.targeting import Target, canaries, select

TARGETS = [
    Target("pi-1", {"site": "berlin"}),
    Target("pi-2", {"site": "paris"}),
    Target("cam-1", {"site": "berlin", "kind": "door"}),
    Target("bare"),
]
DEVICES = st.sets(st.from_regex(r"[a-z0-9-]{1,12}", fullmatch=True), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("selector", "named"),
    [
        ("all", ["bare", "cam-1", "pi-1", "pi-2"]),
        ("pi-2", ["pi-2"]),
        ("pi-2, pi-1,pi-2", ["pi-1", "pi-2"]),
        ("site=berlin", ["cam-1", "pi-1"]),
        ("site=rome", []),
    ],
)
def test_selectors(selector: str, named: list[str]) -> None:
    assert select(selector, TARGETS) == named


@pytest.mark.parametrize("selector", ["", "Pi_1", "pi-1;pi-2", "site=", "=berlin", "a=b=c"])
def test_what_selects_nothing_is_refused(selector: str) -> None:
    with pytest.raises(UsageError, match="selects nothing"):
        select(selector, TARGETS)


def test_a_device_that_is_not_there_is_named_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no device 'pi-3'") as error:
        select("pi-1,pi-3", TARGETS)
    assert "pi-" in error.value.hint


@given(DEVICES, st.floats(0.001, 0.999), st.randoms())
def test_canaries(devices: set[str], share: float, random: object) -> None:
    shuffled = sorted(devices)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first = canaries("app-1", shuffled, share)
    assert first == canaries("app-1", sorted(devices), share), "in whatever order they are asked"
    assert 1 <= len(first) <= max(1, len(devices) - 1)
    assert len(first) <= max(1, share * len(devices))
    assert set(first) <= devices


def test_all_go_first_only_if_that_is_said() -> None:
    assert canaries("app-1", ["a", "b", "c"], 1.0) == ["a", "b", "c"]
    assert len(canaries("app-1", ["a", "b", "c"], 0.99)) == 2
    assert canaries("app-1", [], 0.5) == []


def test_another_rollout_chooses_others() -> None:
    devices = [f"pi-{i}" for i in range(50)]
    chosen = {tuple(canaries(f"app-{n}", devices, 0.02)) for n in range(20)}
    assert len(chosen) > 10
