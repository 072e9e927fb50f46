"""A folder of blobs: by digest, whole, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import sha256
from fleet.blobs import FolderBlobs


def test_what_is_put_can_be_read_in_ranges(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = blobs.put(b"0123456789")
    assert digest == sha256(b"0123456789")
    assert blobs.size(digest) == 10
    assert blobs.open_range(digest, 0, 100) == b"0123456789"
    assert blobs.open_range(digest, 3, 4) == b"3456"
    assert blobs.open_range(digest, 10, 4) == blobs.open_range(digest, 99, 4) == b""


def test_the_empty_blob(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = blobs.put(b"")
    assert blobs.size(digest) == 0
    assert blobs.open_range(digest, 0, 5) == b""


def test_twice_is_one_file(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = blobs.put(b"same")
    path = tmp_path / digest[:2] / digest
    before = path.stat()
    assert blobs.put(b"same") == digest
    assert path.stat().st_ino == before.st_ino
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]


def test_a_copy_that_went_bad_is_replaced(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    digest = blobs.put(b"good")
    (tmp_path / digest[:2] / digest).write_bytes(b"bad!")
    blobs.put(b"good")
    assert blobs.open_range(digest, 0, 9) == b"good"


def test_what_is_not_there(tmp_path: Path) -> None:
    blobs = FolderBlobs(tmp_path)
    assert blobs.size("ab" * 32) is None
    with pytest.raises(UnavailableError, match="cannot be read") as caught:
        blobs.open_range("ab" * 32, 0, 1)
    assert "publish" in caught.value.hint


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "blobs").write_bytes(b"")
    with pytest.raises(UsageError, match="cannot be written"):
        FolderBlobs(tmp_path / "blobs").put(b"x")
