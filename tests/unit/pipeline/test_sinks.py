from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import (
    PictureFile,
    VideoFile,
    open_sink,
    open_sources,
    plan_sinks,
    write_picture,
)

PICTURE = np.full((48, 64, 3), 90, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A folder with still.jpg and clip.mp4 in it."""
    write_picture(tmp_path / "still.jpg", PICTURE)
    with VideoFile(tmp_path / "clip.mp4", 12.5) as sink:
        for _ in range(5):
            sink.write(PICTURE)
    return tmp_path


def test_a_video_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoFile(path, 25) as sink:
        sink.write(PICTURE)
        assert not path.exists()
    assert path.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), VideoFile(path, 25) as sink:
        sink.write(PICTURE)
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("odd", [0, 1])
def test_a_video_keeps_rate_number_and_size_but_for_an_odd_last_row_or_column(tmp_path, odd):
    path = tmp_path / "out.mp4"
    with VideoFile(path, 12.5) as sink:
        for _ in range(7):
            sink.write(PICTURE[: 46 + odd, : 62 + odd])
    (clip,) = open_sources([path])
    assert (clip.fps, clip.width, clip.height, clip.announced) == (12.5, 62, 46, 7)


def test_frames_that_never_reached_the_disk_are_noticed(tmp_path):
    sink = VideoFile(tmp_path / "out.mp4", 25)
    with pytest.raises(UnavailableError, match="Only 1 of 2 frames"), sink:
        sink.write(PICTURE)
        sink.write(PICTURE[:10])  # OpenCV drops a frame of another size without a word
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there(tmp_path):
    sink = VideoFile(tmp_path / "none" / "out.mp4", 25)
    with pytest.raises(UsageError, match="cannot be written"), sink:
        sink.write(PICTURE)


def test_one_picture_one_video_and_a_folder_for_anything(folder):
    one, other = open_sources([folder / "still.jpg", folder / "clip.mp4"])
    assert plan_sinks(folder / "o.png", [one]) == [folder / "o.png"]
    assert plan_sinks(folder / "o.mp4", [other]) == [folder / "o.mp4"]
    out = folder / "out"
    planned = plan_sinks(out, [one, other, one])
    assert planned == [out / "still.jpg", out / "clip.mp4", out / "still-2.jpg"]
    assert out.is_dir()
    assert isinstance(open_sink(planned[0], one), PictureFile)
    assert isinstance(open_sink(planned[1], other), VideoFile)


@pytest.mark.parametrize(
    ("target", "inputs", "said", "hint"),
    [
        ("o.png", ["still.jpg", "clip.mp4"], "2 drawings cannot go to the one file", "--draw"),
        ("o.png", ["clip.mp4"], "video", "o.mp4"),
        ("o.mp4", ["still.jpg"], "picture", "o.png"),
        ("o.xyz", ["still.jpg"], "picture", "o.png"),
        ("still.jpg", ["still.jpg"], "overwritten", "--draw FOLDER"),
        ("", ["still.jpg"], "overwritten", "--draw FOLDER"),
        ("none/o.png", ["still.jpg"], "cannot be written", "folder"),
        ("still.jpg/out", ["still.jpg"], "cannot be written", "folder"),
    ],
)
def test_a_target_that_does_not_suit_is_refused_before_any_work(folder, target, inputs, said, hint):
    sources = open_sources([folder / name for name in inputs])
    with pytest.raises(UsageError) as caught:
        plan_sinks(folder / target, sources)
    assert said in caught.value.message and hint in caught.value.hint
