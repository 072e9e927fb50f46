"""A pool's memory is used again, and never while anybody can still see what is in it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.pipeline.frames import Clip
from edge_sdk.pipeline.pool import PicturePool
from edge_sdk.processing.picture import Picture
from examples.assets import asset

SHAPE = (4, 6, 3)


def address(picture: Picture) -> int:
    return int(picture.__array_interface__["data"][0])


def test_memory_is_used_again_once_it_is_let_go() -> None:
    pool = PicturePool()
    first = pool.empty(SHAPE)
    where = address(first)
    assert address(pool.empty(SHAPE)) != where
    del first
    assert address(pool.empty(SHAPE)) == where


@pytest.mark.parametrize(
    "hold",
    [
        lambda picture: picture[1:, ::2],
        lambda picture: picture.reshape(-1)[3:].view(np.int8),
        memoryview,
        lambda picture: {"answers": (picture,)},
        lambda picture: np.broadcast_to(picture[None], (2, *SHAPE)),
    ],
    ids=["part", "part of a view", "memoryview", "inside of something", "broadcast"],
)
def test_whoever_holds_any_part_of_it_keeps_it(hold: Any) -> None:
    pool = PicturePool()
    picture = pool.empty(SHAPE)
    where = address(picture)
    held = hold(picture)
    del picture
    assert where not in {address(pool.empty(SHAPE)) for _ in range(20)}
    del held
    assert address(pool.empty(SHAPE)) == where


def test_beyond_its_most_it_gives_memory_like_any_other() -> None:
    pool = PicturePool(most=2)
    pictures = [pool.empty(SHAPE) for _ in range(5)]
    assert len({address(each) for each in pictures}) == 5
    pooled = {address(each) for each in pictures[:2]}
    del pictures[:]
    again = [pool.empty(SHAPE) for _ in range(2)]
    assert {address(each) for each in again} == pooled


def test_another_shape_is_another_memory() -> None:
    pool = PicturePool()
    _ = pool.empty(SHAPE)
    assert pool.empty((6, 4, 3)).shape == (6, 4, 3)
    assert pool.empty((5, 5)).shape == (5, 5)
    assert pool.empty(SHAPE).shape == SHAPE


def test_a_copy_is_one() -> None:
    pool = PicturePool()
    picture = np.arange(np.prod(SHAPE), dtype=np.uint8).reshape(SHAPE)
    copied = pool.copy(picture)
    np.testing.assert_array_equal(copied, picture)
    assert not np.shares_memory(copied, picture)


def test_threads_never_get_the_same_memory() -> None:
    pool = PicturePool()
    torn: list[int] = []

    def work(mine: int) -> None:
        for _ in range(2_000):
            picture = pool.empty(SHAPE)
            picture[:] = mine
            if (picture != mine).any():
                torn.append(mine)

    threads = [threading.Thread(target=work, args=(each,)) for each in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert torn == []


class Capture:
    """Answers as OpenCV does: into what it is given if that fits, else into something new."""

    def __init__(self, *shapes: tuple[int, ...] | None) -> None:
        self.shapes = list(shapes)
        self.given: list[Picture | None] = []

    def read(self, into: Picture | None = None) -> tuple[bool, Picture | None]:
        self.given.append(into)
        shape = self.shapes.pop(0)
        if shape is None:
            return False, None
        fits = into is not None and into.shape == shape
        return True, into if fits else np.zeros(shape, np.uint8)


def test_what_a_camera_gives_goes_where_the_last_picture_went() -> None:
    capture = Capture(SHAPE, SHAPE, None, SHAPE, (5, 5, 3), (5, 5, 3))
    pool = PicturePool()
    read = [pool.read(capture)[0] for _ in range(6)]
    assert read == [True, True, False, True, True, True]
    assert [None if each is None else each.shape for each in capture.given] == [
        None,
        SHAPE,
        SHAPE,
        SHAPE,
        SHAPE,
        (5, 5, 3),
    ]


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_a_clip_whose_frames_are_all_kept_has_each_of_them(threads: int | None) -> None:
    clip = Clip(Path(asset("carphone")))
    kept = [frame.picture for frame in clip.frames("bgr", threads=threads)]
    one_by_one = [frame.picture.copy() for frame in clip.frames("bgr")]
    assert len(kept) == len(one_by_one) == clip.announced
    assert all(map(np.array_equal, kept, one_by_one))
