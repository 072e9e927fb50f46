from __future__ import annotations

from converters.steps import Steps


def test_each_step_is_told_and_timed():
    told = []
    steps = Steps(lambda *what: told.append(what))
    steps.begin("open")
    steps.begin("compare", 300)
    steps.progress(256, 300)
    steps.progress(300, 300)
    steps.end()
    assert told == [
        ("open", 0, 0),
        ("compare", 0, 300),
        ("compare", 256, 300),
        ("compare", 300, 300),
    ]
    assert list(steps.seconds) == ["open", "compare"]
    assert all(seconds >= 0 for seconds in steps.seconds.values())


def test_a_step_under_way_has_no_time_yet():
    steps = Steps()
    steps.begin("open")
    assert steps.seconds == {}
    steps.end()
    steps.end()
    assert list(steps.seconds) == ["open"]
