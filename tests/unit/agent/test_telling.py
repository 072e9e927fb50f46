"""How often the fleet hears of an application."""

from itertools import pairwise

from device_agent.core.telling import PROBLEMS_EVERY_MS, Telling
from edge_sdk.spec.deployment import AppState, State

WELL, DRY = AppState(), AppState(problems=("no input since noon",))


def test_a_loose_plug_is_told_of_now_and_then_and_what_it_is_in_the_end() -> None:
    telling = Telling(WELL)
    told = [
        at_ms
        for at_ms in range(0, 60_000, 1000)
        if telling.is_due(DRY if at_ms % 2000 else WELL, at_ms)
    ]
    assert 6 <= len(told) <= 7
    assert min(later - earlier for earlier, later in pairwise(told)) >= PROBLEMS_EVERY_MS
    rests = WELL if told[-1] % 2000 else DRY
    assert telling.is_due(rests, told[-1] + PROBLEMS_EVERY_MS)
    assert not telling.is_due(rests, 10**6)


def test_all_else_is_told_at_once() -> None:
    telling = Telling(WELL)
    assert telling.is_due(DRY, 0)
    probation = AppState(state=State.PROBATION, problems=DRY.problems)
    assert telling.is_due(probation, 1)
    assert telling.is_due(WELL, 2), "the state changed, and with it the problems"
    assert not telling.is_due(DRY, 3)
    telling.told(DRY)
    assert not telling.is_due(DRY, 10**6)
