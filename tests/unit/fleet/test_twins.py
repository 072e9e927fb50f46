"""Two agents with one name are noticed; restarts, reconnections and late hellos are not two."""

from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.spec.word import Word
from fleet.core.twins import LONGEST_BOOT, REMEMBERED, STANDS_MS, Voices
from fleet.stores.packing import pack, unpack

MINUTE = 60_000


def heard(*boots: str) -> Voices:
    voices = Voices()
    for number, boot in enumerate(boots):
        voices = voices.hear(boot, 1000 + number * MINUTE)
    return voices


def is_two(*boots: str) -> bool:
    return heard(*boots).twins(1000 + (len(boots) - 1) * MINUTE)


def test_two_that_take_turns_are_two() -> None:
    assert not is_two(*"ABABA")
    assert is_two(*"ABABAB")
    assert is_two(*"AABBABBBAAB"), "however often each speaks"


def test_three_are_more_than_one_too() -> None:
    assert is_two(*"ABCABCABC")


def test_a_restart_on_one_side_changes_nothing_for_long() -> None:
    assert is_two(*"ABABAXBXBX")
    assert not is_two(*"ABABAX")


@given(st.lists(st.integers(1, 4), max_size=40))
def test_a_device_that_restarts_and_reconnects_is_one(hellos: list[int]) -> None:
    """Each run says hello some times, and is followed by the next."""
    assert not is_two(*(f"boot-{run}" for run, times in enumerate(hellos) for _ in range(times)))


@given(st.lists(st.tuples(st.integers(1, 3), st.booleans()), max_size=40))
def test_an_old_hello_that_comes_late_is_no_second_agent(runs: list[tuple[int, bool]]) -> None:
    """Once a run, amid those of its successor, as an abandoned connection delivers it."""
    said = []
    for run, (times, late) in enumerate(runs, 1):
        said += [f"boot-{run}"] * times
        if late:
            said += [f"boot-{run - 1}", f"boot-{run}"]
    assert not is_two(*said)


def test_it_is_over_when_one_has_been_silent_for_long() -> None:
    voices = heard(*"ABABAB")
    last_ms = 1000 + 5 * MINUTE
    voices = voices.hear("B", last_ms + MINUTE)
    assert voices.twins(last_ms + STANDS_MS)
    assert not voices.twins(last_ms + STANDS_MS + 1)
    again = voices.hear("A", last_ms + 100 * MINUTE)
    assert again.twins(last_ms + 100 * MINUTE), "it was known to live, and does"
    restarted = voices.hear("C", last_ms + 100 * MINUTE)
    assert not restarted.twins(last_ms + 100 * MINUTE), "a new run says nothing of two"


def test_what_is_remembered_is_bounded() -> None:
    voices = heard(*(f"{'x' * 100}{i}" for i in range(50)), *map(str, range(50)))
    assert len(voices.heard) == REMEMBERED
    assert all(len(voice.boot) <= LONGEST_BOOT for voice in voices.heard)


def test_it_survives_the_store() -> None:
    voices = heard(*"ABABAB")
    assert isinstance(voices, Word)
    assert unpack(pack(voices), Voices) == voices
