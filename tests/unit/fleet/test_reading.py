"""What the fleet does not believe of a window."""

from typing import Any

import pytest
from fleet_samples import a_window

from edge_sdk.spec.sketch import BinCounts, Comparison, LogHistogram
from fleet.core.reading import nonsense


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
