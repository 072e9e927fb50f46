"""Open windows: what is counted where."""

import subprocess
import sys

from device_agent.core.window import OpenWindow
from edge_sdk.spec.sketch import Baseline, BinCounts, Comparison, Feature, Window
from edge_sdk.telemetry import histogram

BASELINE = Baseline(
    samples=4,
    features=(
        Feature(name="brightness", edges=(10.0, 20.0), reference=(0, 4, 0)),
        Feature(name="gone", edges=(0.5,), reference=(2, 2)),
    ),
)


def opened(role: str = "serve", baseline: Baseline | None = BASELINE) -> OpenWindow:
    return OpenWindow(
        app="a",
        artifact="0" * 64,
        role=role,
        boot="b",
        baseline=baseline,
        started_ms=1_000,
        monotonic_ms=50,
    )


def closed(window: OpenWindow) -> Window:
    return window.close(ended_ms=3_000, monotonic_ms=2_050, memory_bytes=7)


def test_everything_is_counted_once() -> None:
    window = opened()
    window.answered(100.0, [3])
    window.answered(200.0, [1, 3])
    window.answered(300.0, [])
    window.failed()
    window.unread()
    window.unread()
    for reason in ("dark", "blank", "dark"):
        window.refused(reason)
    window.unrecorded()
    names = ("brightness", "unknown")
    window.measured(names, (15.0, 1.0))
    window.measured(names, (float("nan"), 1.0))
    found = closed(window)
    assert (found.started_ms, found.ended_ms, found.monotonic_ms) == (1_000, 3_000, 1_050)
    assert (found.inferences, found.errors, found.unread, found.memory_bytes) == (3, 1, 2, 7)
    assert (found.refused, found.unrecorded) == ({"blank": 1, "dark": 2}, 1)
    assert found.classes == {1: 1, 3: 2}
    assert list(found.classes) == [1, 3]
    assert histogram.total(found.latency) == 3
    assert found.features == {
        "brightness": BinCounts(counts=(0, 1, 0), missing=1),
        "gone": BinCounts(counts=(0, 0)),
    }
    assert found.comparison is None


def test_a_shadow_is_compared() -> None:
    window = opened("shadow", baseline=None)
    for agreed in (True, False, True):
        window.compared(agreed=agreed)
    found = closed(window)
    assert found.comparison == Comparison(compared=3, disagreed=1)
    assert found.features == {}


def test_counting_needs_no_numpy() -> None:
    code = "import sys, device_agent.core.window, edge_sdk.telemetry.distance; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "numpy" not in done.stdout.split()
