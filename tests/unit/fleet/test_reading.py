"""What the fleet does not believe of a window."""

from typing import Any

import pytest
from fleet_samples import a_window, an_app

from edge_sdk.spec.deployment import Reported
from edge_sdk.spec.sketch import BinCounts, Comparison, LogHistogram
from fleet.core.reading import MOST, is_text, nonsense, nonsense_in_report


def test_a_window_makes_sense() -> None:
    assert nonsense(a_window(features={"brightness": BinCounts(counts=(1, 2))})) is None
    assert nonsense(a_window(comparison=None, role="serve")) is None
    assert nonsense(a_window(refused={"dark": 3}, unrecorded=2, unread=1)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"app": "A b"}, "no application's name"),
        ({"app": "fashion\n"}, "no application's name"),
        ({"artifact": "b" * 63}, "no digest"),
        ({"role": "admin"}, "no role"),
        ({"inferences": -1}, "impossible"),
        ({"started_ms": 2**63}, "impossible"),
        ({"classes": {0: -1}}, "impossible"),
        ({"features": {"x": BinCounts(counts=(1,), missing=-1)}}, "impossible"),
        ({"features": {"x": BinCounts(counts=(-1,))}}, "impossible"),
        ({"comparison": Comparison(compared=-1)}, "impossible"),
        ({"unread": -1}, "impossible"),
        ({"unrecorded": 2**54}, "impossible"),
        ({"refused": {"dark": -1}}, "impossible"),
        ({"refused": {"": 1}}, "reasons to refuse"),
        ({"refused": {"x" * 129: 1}}, "reasons to refuse"),
        ({"refused": {str(number): 1 for number in range(65)}}, "reasons to refuse"),
        ({"latency": LogHistogram(counts={10_001: 1})}, "a latency"),
        ({"latency": LogHistogram(zeros=-1)}, "impossible"),
        ({"latency": LogHistogram(ratio=1.0)}, "no sensible ratio"),
        ({"latency": LogHistogram(ratio=float("nan"))}, "no sensible ratio"),
    ],
)
def test_nonsense(changes: dict[str, Any], said: str) -> None:
    wrong = nonsense(a_window(**changes))
    assert wrong is not None
    assert said in wrong


@pytest.mark.parametrize(
    ("counter", "attempt", "right"),
    [(0, 0, True), (MOST, MOST, True), (-1, 0, False), (2**63, 0, False), (0, 2**64, False)],
)
def test_a_report_counts_as_far_as_a_database_does(counter: int, attempt: int, right: bool) -> None:
    said = Reported(counter=counter, apps={"fashion": an_app(attempt=attempt)})
    assert (nonsense_in_report(said) is None) is right


def test_a_zero_byte_is_no_text() -> None:
    assert is_text("box \N{SNOWMAN}")
    assert not is_text("a\0b")
