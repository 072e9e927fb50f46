"""Sources: in order, over and over, and on behind whatever cannot be read."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from device_agent import ipc
from device_agent.sources import FolderSource, Takes, VideoSource, open_source
from edge_sdk.errors import UsageError
from edge_sdk.spec import Signature, TensorSpec

TWO = Signature(inputs=(TensorSpec(name="x", dtype="float32", shape=(1, 2)),), outputs=())
PICTURES, ARRAYS = Takes(TWO, pictures=True), Takes(TWO, pictures=False)


def add(folder: Path, name: str, level: int) -> None:
    """Write a picture of one gray, whole or not at all, as a careful program does."""
    folder.mkdir(exist_ok=True)
    hidden = folder / f".{name}"
    assert cv2.imwrite(str(hidden), np.full((4, 4, 3), level, np.uint8))
    hidden.replace(folder / name)


def levels(source: FolderSource | VideoSource, count: int) -> list[int]:
    found = [source.next(PICTURES) for _ in range(count)]
    return [int(picture[0, 0, 0]) for picture in found if isinstance(picture, np.ndarray)]


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
        source.next(PICTURES)
    assert levels(source, 2) == [20, 30]


def test_an_empty_folder_and_none_at_all(tmp_path: Path) -> None:
    source = FolderSource(tmp_path / "in")
    with pytest.raises(UsageError, match="cannot be read"):
        source.next(PICTURES)
    (tmp_path / "in").mkdir()
    with pytest.raises(UsageError, match="no pictures"):
        source.next(PICTURES)
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
        source.next(PICTURES)
    (tmp_path / "v.avi").write_bytes(b"no video")
    with pytest.raises(UsageError):
        source.next(PICTURES)
    video(tmp_path / "v.avi", 40)
    assert levels(source, 1) == pytest.approx([40], abs=4)


def test_a_configuration_names_the_kind(tmp_path: Path) -> None:
    folder, video_file = (ipc.Source(kind=k, path=str(tmp_path)) for k in ("folder", "video"))
    assert isinstance(open_source(folder), FolderSource)
    assert isinstance(open_source(video_file), VideoSource)


def rows(source: FolderSource, count: int, takes: Takes = ARRAYS) -> list[float]:
    found = [source.next(takes) for _ in range(count)]
    return [float(given["x"][0, 0]) for given in found if isinstance(given, dict)]


def test_arrays_come_row_by_row_for_a_model_that_takes_no_pictures(folder: Path) -> None:
    np.save(folder / "a.npy", np.array([[1, 0], [2, 0], [3, 0]], np.float32))
    np.savez(folder / "b.npz", x=np.array([4, 0], np.float32))
    assert rows(FolderSource(folder), 6) == [1, 2, 3, 4, 1, 2]


def test_arrays_that_fit_another_model_are_told_and_passed_over(folder: Path) -> None:
    np.save(folder / "a.npy", np.ones((1, 2), np.float32))
    np.save(folder / "b.npy", np.ones((1, 3), np.float32))
    source = FolderSource(folder)
    assert rows(source, 1) == [1]
    with pytest.raises(UsageError, match=r"b\.npy holds 1x3 for x"):
        source.next(ARRAYS)
    assert rows(source, 1) == [1]


def test_what_is_left_of_a_file_is_not_given_to_another_model(folder: Path) -> None:
    np.save(folder / "a.npy", np.array([[1, 0], [2, 0]], np.float32))
    source = FolderSource(folder)
    assert rows(source, 1) == [1]
    other = Signature(inputs=(TensorSpec(name="y", dtype="float32", shape=(1, 2)),), outputs=())
    given = source.next(Takes(other, pictures=False))
    assert isinstance(given, dict)
    assert given["y"].tolist() == [[1, 0]]


def test_a_folder_of_pictures_alone_is_empty_to_a_model_of_arrays(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"no arrays in the folder") as caught:
        FolderSource(folder).next(ARRAYS)
    assert ".npy" in caught.value.hint
