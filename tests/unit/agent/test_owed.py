"""What of lost windows is told all the same."""

from msgspec.structs import replace

from device_agent.core.owed import Owed
from edge_sdk.spec.sketch import LogHistogram, Window

WINDOW = Window(
    app="look",
    artifact="a" * 64,
    role="serve",
    started_ms=1,
    ended_ms=2,
    boot="b",
    monotonic_ms=3,
    inferences=5,
    latency=LogHistogram(counts={1: 5}),
    classes={0: 5},
)


def test_only_what_has_no_record_is_owed_in_one_window_a_model() -> None:
    owed = Owed()
    other = replace(WINDOW, artifact="c" * 64, unrecorded=4)
    owed.lost([WINDOW, replace(WINDOW, unrecorded=2)])
    owed.lost([replace(WINDOW, unrecorded=3, ended_ms=9, monotonic_ms=8), other])
    first, second = owed.take()
    assert first == Window(
        app="look",
        artifact="a" * 64,
        role="serve",
        started_ms=1,
        ended_ms=9,
        boot="b",
        monotonic_ms=8,
        unrecorded=5,
    )
    assert (second.artifact, second.unrecorded, second.inferences) == ("c" * 64, 4, 0)
    assert owed.take() == ()


def test_one_that_is_lost_again_is_owed_again() -> None:
    owed = Owed()
    owed.lost([replace(WINDOW, unrecorded=2)])
    owed.lost(owed.take())
    assert [window.unrecorded for window in owed.take()] == [2]
