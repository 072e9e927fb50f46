"""Files: digests that name a tree, and writing that is all or nothing."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.files import (
    FileBytes,
    check_writable,
    disk_error,
    sha256,
    sha256_file,
    sha256_tree,
    tree,
    whole_file,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_digests(tmp_path: Path) -> None:
    content = os.urandom((1 << 20) + 5)
    path = tmp_path / "x"
    path.write_bytes(content)
    expected = hashlib.sha256(content).hexdigest()
    assert sha256(content) == sha256_file(path) == sha256_tree(path) == expected


def test_the_digest_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "b" / "c" / "two").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    (tmp_path / "empty").mkdir()
    assert list(tree(tmp_path)) == ["a", "b/c/two"]
    lines = f"{sha256(b'1')}  a\0{sha256(b'2')}  b/c/two\0"
    before = sha256_tree(tmp_path)
    assert before == sha256(lines.encode())
    (tmp_path / "a").rename(tmp_path / "aa")
    assert sha256_tree(tmp_path) != before


def test_a_file_name_cannot_pass_for_two_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "a").write_bytes(b"1")
    (two / "b").write_bytes(b"2")
    (one / "a").rename(one / f"a\n{sha256(b'2')}  b")
    assert sha256_tree(one) != sha256_tree(two)


def test_file_names_of_any_bytes(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")).write_bytes(b"1")
    assert len(sha256_tree(tmp_path)) == 64


def test_a_file_read_by_slices(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(bytes(range(100)))
    data = FileBytes(path)
    assert len(data) == 100
    assert data[:3] == b"\0\1\2"
    assert data[97:] == data[-3:] == data[97:1000] == bytes([97, 98, 99])
    assert data[5:5] == data[9:2] == b""
    os.truncate(path, 10)
    assert data[8:20] == b"\x08\x09", "as much as there is left"
    data.close()


def test_a_disk_that_fails(tmp_path: Path) -> None:
    """A descriptor that cannot be read stands for a bad block."""
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    data = FileBytes(path)
    deaf = os.open(path, os.O_WRONLY)
    os.dup2(deaf, data._file.fileno())
    os.close(deaf)
    with pytest.raises(UnavailableError, match="x cannot be read: Bad file descriptor"):
        data[:]
    data.close()


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(0o600)
    with whole_file(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
        assert len(names(tmp_path)) <= 2, "at most a part beside it"
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_the_mode_is_that_of_any_new_file(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        with whole_file(tmp_path / "x"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit, GeneratorExit])
def test_an_exception_leaves_the_old_file(error: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")

    def write() -> None:
        with whole_file(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["x"]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    for name in ("x" * 255, "é" * 127):
        with whole_file(tmp_path / name) as file:
            file.write(b"1")
        assert (tmp_path / name).read_bytes() == b"1"
    with (
        pytest.raises(UsageError, match="cannot be written: File name too long"),
        whole_file(tmp_path / ("x" * 256)),
    ):
        pass
    assert len(names(tmp_path)) == 2


def test_what_cannot_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"")
    for path, why in (
        (tmp_path / "folder", "is a folder"),
        (Path("/"), "is a folder"),
        (Path(), "is a folder"),
        (tmp_path / "pipe", "is not an ordinary file"),
        (tmp_path / "none" / "x", "cannot be written: No such file or directory"),
        (tmp_path / "file" / "x", "cannot be written: Not a directory"),
        (tmp_path / ("x" * 256), "cannot be written: File name too long"),
    ):
        with pytest.raises(UsageError, match=why) as raised, whole_file(path):
            pass
        assert raised.value.hint
        with pytest.raises(UsageError, match=why.replace("File name too long", ".*")):
            check_writable(path)
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["file", "folder", "pipe"]


def test_a_file_that_can_be_written_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x"
    check_writable(path)
    assert not names(tmp_path)
    path.write_bytes(b"old")
    check_writable(path)
    assert path.read_bytes() == b"old"


def test_a_full_disk() -> None:
    """``/dev/full`` is a disk without room, though not one to rename a file on."""
    with pytest.raises(OSError, match="No space left") as raised:
        Path("/dev/full").write_bytes(b"x")
    error = disk_error(raised.value, Path("some/model.edge"))
    assert isinstance(error, UnavailableError)
    assert error.message == "There is no room to write some/model.edge: No space left on device."
    assert error.hint.startswith("df -h some ")


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EFBIG, errno.ENOSPC])
def test_no_room_is_the_machines_fault(number: int) -> None:
    assert isinstance(disk_error(OSError(number, os.strerror(number)), Path("x")), UnavailableError)


def test_anything_else_is_the_callers() -> None:
    assert isinstance(disk_error(OSError(errno.EROFS, "Read-only"), Path("x")), UsageError)
    assert "odd" in disk_error(OSError("odd"), Path("x")).message


def test_a_secret_is_nobody_elses_from_the_first_moment(tmp_path):
    path = tmp_path / "secret"
    with whole_file(path, 0o600) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
        file.write(b"x")
    assert path.stat().st_mode & 0o777 == 0o600
