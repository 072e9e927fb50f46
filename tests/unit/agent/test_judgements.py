"""Probation's verdict and the waits between attempts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.application import starved
from device_agent.core.backoff import Backoff
from device_agent.core.drought import Drought
from device_agent.core.probation import Outcome, Terms, Verdict, judge
from device_agent.ipc import Beat

HEALTHY = Verdict(Outcome.HEALTHY)
TERMS = Terms(duration_ms=5000, inferences=10, max_errors=1, deadline_ms=60_000)


@pytest.mark.parametrize(
    ("elapsed_ms", "inferences", "errors", "expected"),
    [
        (0, 0, 0, None),
        (4999, 500, 0, None),
        (5000, 9, 0, None),
        (5000, 10, 0, HEALTHY),
        (5000, 10, 1, HEALTHY),
        (100, 3, 2, Verdict(Outcome.UNHEALTHY, "2 of its first 5 inferences failed")),
        (59_999, 9, 0, None),
        (60_000, 9, 0, Verdict(Outcome.UNHEALTHY, "it answered 9 times in 60 s; 10 were needed")),
        (60_000, 10, 0, HEALTHY),
    ],
)
def test_probation(elapsed_ms: int, inferences: int, errors: int, expected: Verdict | None) -> None:
    assert judge(TERMS, elapsed_ms, inferences, errors, starved=False) == expected


@pytest.mark.parametrize(
    ("elapsed_ms", "inferences", "errors", "expected"),
    [
        (59_999, 9, 0, None),
        (5000, 10, 0, Outcome.HEALTHY),
        (60_000, 10, 1, Outcome.HEALTHY),
        (60_000, 0, 0, Outcome.INCONCLUSIVE),
        (60_000, 9, 1, Outcome.INCONCLUSIVE),
        (100, 0, 2, Outcome.UNHEALTHY),
        (60_000, 0, 2, Outcome.UNHEALTHY),
    ],
)
def test_where_inputs_were_missing_too_few_answers_prove_nothing(
    elapsed_ms: int, inferences: int, errors: int, expected: Outcome | None
) -> None:
    found = judge(TERMS, elapsed_ms, inferences, errors, starved=True)
    assert (found and found.outcome) == expected
    if found is not None and found.outcome is Outcome.INCONCLUSIVE:
        assert found.reason.startswith(f"inconclusive: it answered {inferences} times in 60 s; 10")


def beat(inferences: int, **more: Any) -> Beat:
    return Beat(monotonic_ms=0, inferences=inferences, **more)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (beat(0), beat(0), True),
        (beat(0), beat(5), False),
        (beat(5), beat(5, errors=1), False),
        (beat(5, unread=3), beat(9, unread=3), False),
        (beat(5, unread=3), beat(9, unread=4), True),
        (beat(5, refused={"dark": 1}), beat(9, refused={"dark": 1, "blank": 1}), True),
        # A source that gave nothing is asked again seconds later: then it gives one, and no more.
        (beat(0, unread=3, waiting=True), beat(1, unread=3), True),
    ],
)
def test_inputs_were_missing(before: Beat, now: Beat, found: bool) -> None:
    assert starved(before, now) is found


def test_a_drought_waits_until_it_is_fed() -> None:
    drought = Drought(0.0, 0)
    assert not drought.waiting
    drought.missed("no such folder", 1.0)
    assert drought.waiting
    drought.fed(2.0, 2_000)
    assert not drought.waiting


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_between_half_its_ceiling_and_all_of_it(failures: int, draw: float) -> None:
    ceiling = min(60.0, 2.0 ** (min(failures, 40) - 1))
    wait = Backoff(1.0, 60.0).delay_s(failures, lambda: draw)
    assert ceiling / 2 <= wait <= ceiling
