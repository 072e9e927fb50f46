from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from edge_sdk.errors import UsageError
from edge_sdk.pipeline import read_picture, write_picture

PICTURE = np.random.default_rng(3).integers(0, 256, (30, 40, 3), np.uint8)
SUFFIXES = [".png", ".jpg", ".bmp", ".webp", ".tiff"]


def encoded(suffix: str, picture=PICTURE) -> bytes:
    return cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff"])
def test_written_is_read(tmp_path, suffix):
    path = tmp_path / f"picture{suffix}"
    write_picture(path, PICTURE)
    assert np.array_equal(read_picture(path), PICTURE)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_gray_alpha_and_sixteen_bits_become_rgb_bytes(tmp_path):
    gray = PICTURE[..., 0]
    for name, stored in (
        ("gray", gray),
        ("alpha", np.dstack([gray, gray, gray, gray])),
        ("deep", gray.astype(np.uint16) * 257),
    ):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), stored)
        assert np.array_equal(read_picture(path), np.stack([gray] * 3, axis=-1)), name


def test_a_photo_stands_upright_as_its_exif_says(tmp_path):
    tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"  # orientation 6
    exif = b"Exif\0\0" + tiff
    data = encoded(".jpg")
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:])
    assert read_picture(path).shape == (40, 30, 3)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_cut_off_picture_is_refused(tmp_path, suffix, share):
    data = encoded(suffix)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UsageError, match=f"cut{suffix} is not a whole picture"):
        read_picture(path)


def test_a_cut_off_photo_is_refused_though_its_thumbnail_is_whole(tmp_path):
    thumbnail = encoded(".jpg", PICTURE[:8, :8])
    data = encoded(".jpg")
    path = tmp_path / "photo.jpg"
    whole = data[:2] + b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail + data[2:]
    path.write_bytes(whole)
    assert read_picture(path).shape == (30, 40, 3)
    path.write_bytes(whole[:-200])
    with pytest.raises(UsageError, match="whole picture"):
        read_picture(path)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_nothing_is_printed_of_a_damaged_png_nor_of_a_profile_that_libpng_dislikes(tmp_path, capfd):
    data, path = encoded(".png"), tmp_path / "a.png"
    header = 8 + 25
    odd = png_chunk(b"iCCP", b"x\0\0" + zlib.compress(b"no profile at all"))
    path.write_bytes(data[:header] + odd + data[header:] + b"more")
    assert np.array_equal(read_picture(path), PICTURE)
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 0x40
    for bad in (data[: len(data) // 2], data[:-12], bytes(flipped), data[:8], data[:header]):
        path.write_bytes(bad)
        with pytest.raises(UsageError, match=r"a\.png is not a whole picture"):
            read_picture(path)
    assert capfd.readouterr() == ("", "")


def test_what_is_no_picture_is_refused(tmp_path):
    text, empty = tmp_path / "text.png", tmp_path / "empty.png"
    text.write_text("not a picture")
    empty.touch()
    for path, said in (
        (text, "whole picture"),
        (empty, "is empty"),
        (tmp_path / "none.png", "No such file"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=said) as caught:
            read_picture(path)
        assert caught.value.hint


def test_a_picture_is_not_written_under_another_suffix(tmp_path):
    for name in ("picture.xyz", "picture"):
        with pytest.raises(UsageError, match="does not end as a picture"):
            write_picture(tmp_path / name, PICTURE)
    with pytest.raises(UsageError, match="cannot be written"):
        write_picture(tmp_path / "none" / "picture.png", PICTURE)
    assert not list(tmp_path.iterdir())


def test_a_device_is_no_picture():
    """Reading /dev/zero to its end would take all the memory there is."""
    with pytest.raises(UsageError, match="/dev/zero is a device"):
        read_picture("/dev/zero")
