"""A pipe that is read for so long."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

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
