"""A file is called damaged where it is, and nowhere else."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.pipeline import Clip, Pipeline
from edge_sdk.pipeline.containers import container_of
from edge_sdk.pipeline.sources import ClipSource

FRAMES = 20


def written(path: Path, codec: str = "mp4v") -> Path:
    """A video of noise, a second and a bit long, each frame of its own."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 15, (64, 48))
    noise = np.random.default_rng(5)
    for _ in range(FRAMES):
        writer.write(noise.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return path


def with_index_in_front(path: Path) -> None:
    """An mp4 as it is made for the web: readable before all of it has come."""
    data = path.read_bytes()
    at = data.index(b"moov") - 4
    moov = bytearray(data[at:])
    table = moov.index(b"stco") + 4
    (count,) = struct.unpack_from(">I", moov, table + 4)
    for each in range(table + 8, table + 8 + 4 * count, 4):
        struct.pack_into(">I", moov, each, struct.unpack_from(">I", moov, each)[0] + len(moov))
    first = struct.unpack(">I", data[:4])[0]
    path.write_bytes(data[:first] + moov + data[first:at])


def shortened_by_an_edit_list(path: Path) -> None:
    """As ``ffmpeg -ss 0.7 -c copy``, and telephones, do it."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 4
    version, count = data[at], struct.unpack_from(">I", data, at + 4)[0]
    assert (version, count) == (0, 1)
    shown, _ = struct.unpack_from(">Ii", data, at + 8)
    struct.pack_into(">I", data, at + 8, shown // 2)
    path.write_bytes(data)


def with_sound_that_lasts_longer(path: Path) -> None:
    """A Matroska file says how long the longest of its tracks is."""
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3
    (duration,) = struct.unpack_from(">d", data, at)
    struct.pack_into(">d", data, at, 2 * duration)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def a_hole(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)


def in_front_and_cut(path: Path) -> None:
    with_index_in_front(path)
    cut(path)


def as_it_is(path: Path) -> None:
    assert path.stat().st_size


@pytest.mark.parametrize(
    ("name", "codec", "done_to_it", "announced", "damaged"),
    [
        ("a.mp4", "mp4v", as_it_is, FRAMES, False),
        ("a.mov", "mp4v", as_it_is, FRAMES, False),
        ("a.avi", "MJPG", as_it_is, FRAMES, False),
        ("a.mkv", "mp4v", as_it_is, 0, False),
        ("a.ts", "mp4v", as_it_is, 0, False),
        ("b.mp4", "mp4v", with_index_in_front, FRAMES, False),
        ("c.mp4", "mp4v", shortened_by_an_edit_list, 0, False),
        ("c.mkv", "mp4v", with_sound_that_lasts_longer, 0, False),
        ("d.mp4", "mp4v", in_front_and_cut, FRAMES, True),
        ("d.mkv", "mp4v", cut, FRAMES, True),
        ("d.avi", "MJPG", cut, FRAMES, True),
        ("e.avi", "MJPG", a_hole, FRAMES, True),
    ],
)
def test_only_what_is_damaged_is_called_so(
    tmp_path: Path,
    name: str,
    codec: str,
    done_to_it: Callable[[Path], None],
    announced: int,
    damaged: bool,
) -> None:
    path = written(tmp_path / name, codec)
    done_to_it(path)
    clip = Clip(path)
    report = Pipeline(ClipSource(clip)).run()
    assert clip.announced == announced
    assert 0 < report.done <= FRAMES
    said = f"{path}: {report.done} of {FRAMES} frames can be decoded; the file is cut off or"
    assert bool(report.warnings) == damaged, report.warnings
    assert all(warning.startswith(said) for warning in report.warnings)


def test_a_shortened_file_shows_fewer_and_the_decoder_counts_more(tmp_path: Path) -> None:
    path = written(tmp_path / "a.mp4")
    shortened_by_an_edit_list(path)
    clip = Clip(path)
    assert len(list(clip.frames())) < clip.expected


@given(
    st.sampled_from([b"\0\0\0\x14ftyp", b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI ", b""]),
    st.binary(max_size=200),
)
def test_no_bytes_are_too_much(tmp_path_factory, head: bytes, rest: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + rest)
    container_of(path)


def test_a_file_as_long_as_nobody_knows_is_not_cut(tmp_path: Path) -> None:
    """Matroska that was sent while it was made."""
    path = written(tmp_path / "a.mkv")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x18\x53\x80\x67") + 4
    data[at : at + 8] = b"\x01" + b"\xff" * 7
    path.write_bytes(data[: len(data) // 2])
    assert not container_of(path).cut
