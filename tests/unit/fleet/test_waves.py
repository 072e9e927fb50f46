"""How waves are said, and who is in which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UsageError
from fleet.core.targeting import canaries
from fleet.core.waves import MOST, check, percent, plan, read, share

DEVICES = [f"pi-{i}" for i in range(100)]
IDS = st.sets(st.from_regex(r"[a-z0-9-]{1,8}", fullmatch=True), min_size=1, max_size=80)
SHARES = st.lists(st.floats(0.01, 0.99), max_size=5, unique=True).map(
    lambda shares: (*sorted(shares), 1.0)
)


def test_shares_are_read() -> None:
    assert read("25%,100%") == (0.25, 1.0)
    assert read(" 10%, 0.5 ,1") == (0.1, 0.5, 1.0)
    assert read("100%") == (1.0,)
    assert percent(share("12.5%")) == "12.5%"


@pytest.mark.parametrize(
    ("text", "complaint", "hint"),
    [
        ("25%,10%", "10% comes after 25%", "25%,100%"),
        ("25%,25%,100%", "25% comes after 25%", "25%,100%"),
        ("0%,100%", "'0%' is no share", "Above 0%"),
        ("101%", "'101%' is no share", "at most 100%"),
        ("-5%,100%", "'-5%' is no share", "Above 0%"),
        ("25%,50%", "50% of the devices would never get it", "--waves 25%,50%,100%"),
        ("25%;100%", "'25%;100%' is no share", "Above 0%"),
        ("25%,,100%", "'' is no share", "Above 0%"),
        ("inf,100%", "'inf' is no share", "Above 0%"),
    ],
)
def test_what_is_no_way_to_everybody(text: str, complaint: str, hint: str) -> None:
    with pytest.raises(UsageError, match=complaint) as error:
        read(text)
    assert hint in error.value.hint


def test_the_first_wave_is_more_than_the_canaries() -> None:
    check((0.25, 1.0), 0.2)
    check((), 1.0)
    for canary in (0.25, 0.5):
        with pytest.raises(UsageError, match="nobody beside the canaries"):
            check((0.25, 1.0), canary)
    with pytest.raises(UsageError, match="too many"):
        check([i / (MOST + 1) for i in range(1, MOST + 2)])


def test_shares_are_of_all_devices_canaries_among_them() -> None:
    first = canaries("app-1", DEVICES, 0.05)
    dealt = plan("app-1", first, DEVICES, (0.25, 0.5, 1.0), DEVICES)
    sizes = [list(dealt.wave.values()).count(number) for number in (1, 2, 3)]
    assert (len(first), sizes) == (5, [20, 25, 50])
    assert dealt.shares == (0.25, 0.5, 1.0)


def test_without_waves_all_others_are_one() -> None:
    dealt = plan("app-1", ["a"], ["a", "b", "c"], (), [])
    assert (dealt.shares, dealt.wave) == ((1.0,), {"b": 1, "c": 1})
    assert plan("app-1", ["a"], ["a"], (0.5, 1.0), []).shares == (1.0,), "there is always a last"


def test_of_a_few_devices_a_wave_of_nobody_is_left_out() -> None:
    dealt = plan("app-1", ["a"], ["a", "b", "c", "d"], (0.1, 0.25, 0.5, 0.6, 1.0), [])
    assert dealt.shares == (0.5, 1.0)
    assert sorted(dealt.wave.values()) == [1, 2, 2]


def test_shares_that_floats_cannot_hold_lose_nobody() -> None:
    """0.29 * 100 is 28.999999999999996."""
    dealt = plan("app-1", [], DEVICES, (0.29, 1.0), DEVICES)
    assert list(dealt.wave.values()).count(1) == 29


def test_who_is_away_comes_last() -> None:
    awake = DEVICES[::2]
    dealt = plan("app-1", [], DEVICES, (0.5, 1.0), awake)
    assert {device for device, wave in dealt.wave.items() if wave == 1} == set(awake)


@given(IDS, st.floats(0.01, 0.99), SHARES, st.randoms(), st.data())
def test_everybody_is_in_one_wave_and_the_same_every_time(
    devices: set[str], canary: float, shares: tuple[float, ...], random: object, data: st.DataObject
) -> None:
    first = canaries("app-1", devices, canary)
    awake = data.draw(st.sets(st.sampled_from(sorted(devices))))
    dealt = plan("app-1", first, devices, shares, awake)
    shuffled = sorted(devices)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert plan("app-1", first, shuffled, shares, awake) == dealt, "in whatever order"
    assert set(dealt.wave) | set(first) == devices
    assert not set(dealt.wave) & set(first)
    assert dealt.shares[-1] == 1
    numbers = set(dealt.wave.values())
    assert numbers <= set(range(1, len(dealt.shares) + 1))
    assert numbers >= set(range(1, len(dealt.shares))), "but for the last, none is empty"
    for number, each in enumerate(dealt.shares[:-1], 1):
        told = len(first) + sum(wave <= number for wave in dealt.wave.values())
        assert told <= each * len(devices) + 1e-6, "no share is exceeded"
        assert told > each * len(devices) - 1 - 1e-6


def test_another_rollout_deals_otherwise() -> None:
    dealt = {
        tuple(sorted(plan(f"app-{n}", [], DEVICES, (0.1, 1.0), DEVICES).wave.items()))
        for n in range(10)
    }
    assert len(dealt) == 10
