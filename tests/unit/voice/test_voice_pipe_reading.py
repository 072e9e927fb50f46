"""A pipe that is read for so long."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from edge_sdk.interrupt import interruptible
from edge_sdk.voice.pipe import Pipe, TimeIsOver


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)
    os.close(writing)


def test_waiting_ends_and_what_has_come_is_given(ends: tuple[int, int]) -> None:
    reading, writing = ends
    pipe = Pipe(reading, seconds=0.01)
    with pytest.raises(TimeIsOver):
        pipe.read(1)
    assert not pipe.came
    os.write(writing, b"late")
    assert pipe.read(3) == b"lat"
    assert pipe.came
    with pytest.raises(TimeIsOver):
        pipe.read(3)


def test_the_end_gives_what_is_left() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    assert Pipe(reading).read(7) == b"abc"
    assert Pipe(reading).read(7) == b""
    os.close(reading)


def test_a_ctrl_c_that_somebody_swallowed_ends_it(ends: tuple[int, int]) -> None:
    """As engines do while they load; the pipe, which gives nothing, is the next that waits."""
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            Pipe(ends[0], seconds=0.01).read(1)
