from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.pipeline import Clip, Pipeline, Still, VideoFile, open_sources, write_picture
from edge_sdk.pipeline.sources import open_source

WIDTH, HEIGHT, FRAMES, FPS = 64, 48, 20, 10.0


def picture(level: int):
    return np.full((HEIGHT, WIDTH, 3), level, np.uint8)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "clip.mp4"
    with VideoFile(path, FPS) as sink:
        for at in range(FRAMES):
            sink.write(picture(10 * at))
    return path


@pytest.fixture
def avi(tmp_path):
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    noise = np.random.default_rng(5)
    for _ in range(FRAMES):
        writer.write(noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
    writer.release()
    return path


def test_a_video_gives_its_frames_with_place_and_time(video):
    (clip,) = open_sources([video])
    assert isinstance(clip, Clip)
    assert (clip.announced, clip.fps, clip.width, clip.height) == (FRAMES, FPS, WIDTH, HEIGHT)
    frames = list(clip.frames())
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert [frame.time_s for frame in frames] == pytest.approx([at / FPS for at in range(FRAMES)])
    assert frames[15].picture.shape == (HEIGHT, WIDTH, 3)
    assert frames[15].picture.mean() == pytest.approx(150, abs=3)
    assert {frame.source for frame in frames} == {video}


def test_a_video_can_be_read_twice(video):
    (clip,) = open_sources([video])
    assert len(list(clip.frames())) == len(list(clip.frames())) == FRAMES


def test_colours_are_rgb(tmp_path):
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 250
    write_picture(tmp_path / "red.png", red)
    with VideoFile(tmp_path / "red.mp4", FPS) as sink:
        sink.write(red)
    for source in open_sources([tmp_path / "red.png", tmp_path / "red.mp4"]):
        (frame,) = source.frames()
        assert frame.picture.mean(axis=(0, 1)) == pytest.approx([250, 0, 0], abs=6)


def test_a_cut_off_video_gives_what_is_there(avi):
    avi.write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    (clip,) = open_sources([avi])
    frames = list(clip.frames())
    assert 0 < len(frames) < clip.announced == FRAMES


def test_frames_behind_a_damaged_stretch_are_found_again(avi):
    (clip,) = open_sources([avi])
    last = list(clip.frames())[-1].picture
    data = bytearray(avi.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    avi.write_bytes(data)
    frames = list(clip.frames())
    assert len(frames) < FRAMES
    assert np.array_equal(frames[-1].picture, last)


def test_a_folder_stands_for_its_pictures_by_name(tmp_path, video):
    for name in ("b.png", "a.jpg", "c.bmp"):
        write_picture(tmp_path / name, picture(9))
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.jpg").write_text("what some systems keep beside a picture")
    (tmp_path / "sub").mkdir()
    sources = open_sources([tmp_path, video])
    assert [source.path.name for source in sources] == ["a.jpg", "b.png", "c.bmp", "clip.mp4"]
    assert all(isinstance(source, Still) for source in sources[:3])


def test_the_first_bytes_decide_and_not_the_suffix(tmp_path):
    write_picture(tmp_path / "picture.png", picture(9))
    disguised = (tmp_path / "picture.png").rename(tmp_path / "picture.mp4")
    assert isinstance(open_sources([disguised])[0], Still)


def animated(path, frames=6):
    """A GIF, or TIFF, of so many pictures, a tenth of a second each."""
    if path.suffix == ".gif":
        animation = cv2.Animation()
        animation.frames = [np.full((HEIGHT, WIDTH, 3), 20 * at, np.uint8) for at in range(frames)]
        animation.durations = [100] * frames
        assert cv2.imwriteanimation(str(path), animation)
    else:
        assert cv2.imwritemulti(str(path), [picture(20 * at) for at in range(frames)])
    return path


@pytest.mark.skipif(not hasattr(cv2, "Animation"), reason="OpenCV 4.10 writes no GIF")
def test_an_animated_gif_is_a_clip_and_a_still_one_a_picture(tmp_path):
    (clip,) = open_sources([animated(tmp_path / "moves.gif")])
    assert isinstance(clip, Clip)
    frames = list(clip.frames())
    assert [frame.time_s for frame in frames] == pytest.approx([at / 10 for at in range(6)])
    assert [frame.picture.mean() for frame in frames] == pytest.approx(range(0, 120, 20), abs=9)
    (still,) = open_sources([animated(tmp_path / "still.gif", 1)])
    assert isinstance(still, Still)
    assert still.announced == 1


def test_what_a_file_has_beyond_its_first_picture_is_told_of(tmp_path):
    report = Pipeline(open_source(animated(tmp_path / "pages.tiff"))).run()
    assert report.done == 1
    assert report.warnings == (f"{tmp_path}/pages.tiff: only the first of its 6 pictures is used.",)


@pytest.mark.skipif(not hasattr(cv2, "Animation"), reason="OpenCV 4.10 writes no GIF")
def test_in_a_folder_an_animated_gif_is_one_of_its_pictures_and_that_is_told(tmp_path):
    animated(tmp_path / "moves.gif")
    write_picture(tmp_path / "a.png", picture(9))
    report = Pipeline(open_source(tmp_path)).run()
    assert report.done == 2
    assert report.warnings == (f"{tmp_path}/moves.gif: only the first of its 6 pictures is used.",)


def test_bad_inputs_are_named_before_any_work(tmp_path, video):
    text, empty = tmp_path / "text.png", tmp_path / "empty.mp4"
    text.write_text("not a picture")
    empty.touch()
    cut = tmp_path / "cut.mp4"  # without its index, which an mp4 has at its end
    cut.write_bytes(video.read_bytes()[:400])
    folder = tmp_path / "folder"
    folder.mkdir()
    for path, said in (
        (tmp_path / "none.png", "does not exist"),
        (empty, "is empty"),
        (text, "neither a picture nor a video"),
        (cut, "neither a picture nor a video"),
        (folder, "no pictures in the folder"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            open_sources([video, path])
        assert str(path) in caught.value.message and caught.value.hint
    with pytest.raises(UsageError, match="no input"):
        open_sources([])


def test_a_video_without_one_good_frame_is_refused(avi):
    data = bytearray(avi.read_bytes())
    start = data.index(b"00dc", data.index(b"movi"))
    end = data.index(b"idx1")
    data[start:end] = bytes(end - start)
    avi.write_bytes(data)
    with pytest.raises(UsageError, match=r"clip\.avi"):
        for source in open_sources([avi]):
            list(source.frames())
