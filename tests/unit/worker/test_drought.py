"""When it is said that nothing comes, and that it is over."""

from device_agent.core.drought import AFTER_S, MISSED, Drought

EPOCH_MS = 1_790_000_000_000
WAITS = "no input since 2026-09-21 14:13:25 UTC: the camera is gone"


def test_a_source_that_is_away_is_told_of_once_with_the_time_of_the_last_input() -> None:
    drought = Drought(0.0, EPOCH_MS)
    drought.fed(5.0, EPOCH_MS + 5000)
    told = []
    for second in range(6, 30):
        drought.missed("the camera is gone" if second < 20 else "dark", float(second))
        told.append(drought.problem)
    assert told[:4] == [""] * 4
    assert set(told[4:]) == {WAITS}
    drought.fed(31.0, EPOCH_MS + 31_000)
    assert drought.problem == ""


def test_few_inputs_that_are_missed_and_short_pauses_are_none() -> None:
    drought = Drought(0.0, 0)
    for _ in range(10 * MISSED):  # a frame every few milliseconds
        drought.missed("dark", AFTER_S - 0.001)
    assert drought.problem == ""
    for at_s in (100.0, 200.0):  # a picture a minute, of which now and then one is broken
        drought.fed(at_s, 0)
        for _ in range(MISSED - 1):
            drought.missed("cut off", at_s + 60)
        assert drought.problem == ""


def test_one_that_never_was_asked_waits_since_it_took_its_role() -> None:
    drought = Drought(0.0, EPOCH_MS + 5000)
    for _ in range(MISSED):
        drought.missed("the camera is gone", AFTER_S)
    assert drought.problem == WAITS
