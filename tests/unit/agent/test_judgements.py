"""Probation's verdict and the waits between attempts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.core.backoff import Backoff
from device_agent.core.probation import Terms, Verdict, judge

TERMS = Terms(duration_ms=5000, inferences=10, max_errors=1, deadline_ms=60_000)


@pytest.mark.parametrize(
    ("elapsed_ms", "inferences", "errors", "expected"),
    [
        (0, 0, 0, None),
        (4999, 500, 0, None),
        (5000, 9, 0, None),
        (5000, 10, 0, Verdict(True)),
        (5000, 10, 1, Verdict(True)),
        (100, 3, 2, Verdict(False, "2 of its first 5 inferences failed")),
        (59_999, 9, 0, None),
        (60_000, 9, 0, Verdict(False, "it answered 9 times in 60 s; 10 were needed")),
        (60_000, 10, 0, Verdict(True)),
    ],
)
def test_probation(elapsed_ms: int, inferences: int, errors: int, expected: Verdict | None) -> None:
    assert judge(TERMS, elapsed_ms, inferences, errors) == expected


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_between_half_its_ceiling_and_all_of_it(failures: int, draw: float) -> None:
    ceiling = min(60.0, 2.0 ** (min(failures, 40) - 1))
    wait = Backoff(1.0, 60.0).delay_s(failures, lambda: draw)
    assert ceiling / 2 <= wait <= ceiling
