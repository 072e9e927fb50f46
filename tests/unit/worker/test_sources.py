"""Sources: in order, over and over, and on behind whatever cannot be read."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from device_agent import ipc
from device_agent.sources import FolderSource, VideoSource, open_source
from edge_sdk.errors import UsageError


def add(folder: Path, name: str, level: int) -> None:
    """Write a picture of one gray, whole or not at all, as a careful program does."""
    folder.mkdir(exist_ok=True)
    hidden = folder / f".{name}"
    assert cv2.imwrite(str(hidden), np.full((4, 4, 3), level, np.uint8))
    hidden.replace(folder / name)


def levels(source: FolderSource | VideoSource, count: int) -> list[int]:
    return [int(source.next()[0, 0, 0]) for _ in range(count)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for level in (10, 20, 30):
        add(tmp_path / "in", f"{level}.png", level)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    (tmp_path / "in" / ".40.png").write_text("not whole yet")
    return tmp_path / "in"


def test_pictures_come_by_name_and_again(folder: Path) -> None:
    assert levels(FolderSource(folder), 7) == [10, 20, 30, 10, 20, 30, 10]


def test_a_new_picture_is_noticed_in_the_middle_of_a_round(folder: Path) -> None:
    source = FolderSource(folder)
    assert levels(source, 1) == [10]
    add(folder, "15.png", 15)
    add(folder, "05.png", 5)
    assert levels(source, 5) == [15, 20, 30, 5, 10]


def test_a_picture_that_goes_is_passed_over(folder: Path) -> None:
    source = FolderSource(folder)
    assert levels(source, 1) == [10]
    (folder / "20.png").unlink()
    assert levels(source, 3) == [30, 10, 30]


def test_a_picture_is_read_anew_each_time(folder: Path) -> None:
    source = FolderSource(folder)
    levels(source, 3)
    add(folder, "10.png", 99)
    assert levels(source, 1) == [99]


def test_what_cannot_be_read_is_one_error(folder: Path) -> None:
    (folder / "15.png").write_bytes(b"cut off")
    source = FolderSource(folder)
    assert levels(source, 1) == [10]
    with pytest.raises(UsageError, match=r"15\.png"):
        source.next()
    assert levels(source, 2) == [20, 30]


def test_an_empty_folder_and_none_at_all(tmp_path: Path) -> None:
    source = FolderSource(tmp_path / "in")
    with pytest.raises(UsageError, match="cannot be read"):
        source.next()
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        source.next()
    add(tmp_path / "in", "7.png", 7)
    assert levels(source, 2) == [7, 7]


def test_a_folder_under_the_same_name_is_another_folder(folder: Path) -> None:
    source = FolderSource(folder)
    levels(source, 1)
    folder.rename(folder.with_name("old"))
    add(folder, "50.png", 50)
    assert levels(source, 2) == [50, 50]


def video(path: Path, *shades: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (32, 32))
    for shade in shades:
        writer.write(np.full((32, 32, 3), shade, np.uint8))
    writer.release()
    return path


def test_a_video_begins_again(tmp_path: Path) -> None:
    source = VideoSource(video(tmp_path / "v.avi", 40, 120, 200))
    found = levels(source, 6)
    assert found == pytest.approx([40, 120, 200] * 2, abs=4)
    source.close()


def test_a_video_that_is_replaced_is_read_after_its_end(tmp_path: Path) -> None:
    source = VideoSource(video(tmp_path / "v.avi", 40))
    levels(source, 1)
    video(tmp_path / "new.avi", 200).replace(tmp_path / "v.avi")
    assert levels(source, 1) == pytest.approx([200], abs=4)


def test_no_video_is_an_error_until_there_is_one(tmp_path: Path) -> None:
    source = VideoSource(tmp_path / "v.avi")
    with pytest.raises(UsageError, match="There is no video"):
        source.next()
    (tmp_path / "v.avi").write_bytes(b"no video")
    with pytest.raises(UsageError):
        source.next()
    video(tmp_path / "v.avi", 40)
    assert levels(source, 1) == pytest.approx([40], abs=4)


def test_a_configuration_names_the_kind(tmp_path: Path) -> None:
    folder, video_file = (ipc.Source(kind=k, path=str(tmp_path)) for k in ("folder", "video"))
    assert isinstance(open_source(folder), FolderSource)
    assert isinstance(open_source(video_file), VideoSource)
