"""A file that is no audit log: refused, and nothing of it, nor beside it, is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import edge_sdk
from edge_sdk.audit import AuditLog, verify
from edge_sdk.errors import UsageError
from tests.planted_pictures import picture

FOREIGN = {
    "text": b"dear diary",
    "line": b"dear diary\n",
    "JSON": b'{"a": 1}\n',
    "JSON lines": b'{"a": 1}\n{"number":',
    "numbered": b'{"number":1,"name":"somebody\'s"}',
    "number": b'{"number":1}',
    "zip": b"PK\x03\x04" + bytes(3 << 20),
    "zeros": bytes(100),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder"


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """What could have been changed: modes, times of change, contents."""
    found = {}
    for path in folder.iterdir():
        seen = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path.name] = seen.st_mode, seen.st_ctime_ns, content
    return found


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.1", "a.jsonl.4", "a.jsonl.5"])
@pytest.mark.parametrize("kind", FOREIGN)
def test_a_file_that_is_no_log(folder: Path, name: str, kind: str) -> None:
    for number in range(1, 5):  # up to the one that the next shift would remove
        (folder / f"a.jsonl.{number}").touch()
    (folder / name).write_bytes(FOREIGN[kind])
    (folder / name).chmod(0o644)
    before = state(folder)
    with pytest.raises(UsageError, match=rf"{name} is no audit log that can be continued"):
        AuditLog(folder / "a.jsonl")
    assert state(folder) == before


def test_a_lock_file_of_somebody_else(folder: Path) -> None:
    (folder / "a.jsonl.lock").write_text("pid 12")
    before = state(folder)
    with pytest.raises(UsageError, match="is no lock file"):
        AuditLog(folder / "a.jsonl")
    assert state(folder) == before


@pytest.mark.parametrize("content", [b"", bytes(100), b'{"oldest":1}' + b" " * 88], ids=repr)
def test_a_lock_file_of_ours(folder: Path, content: bytes) -> None:
    (folder / "a.jsonl.lock").write_bytes(content)
    AuditLog(folder / "a.jsonl").close()


@pytest.mark.parametrize("where", ["folder", "missing/a.jsonl", "link", "dangling", "pipe"])
def test_a_place_that_cannot_be_written(folder: Path, where: str) -> None:
    (folder / "folder").mkdir()
    (folder / "there").touch()
    (folder / "link").symlink_to(folder / "there")
    (folder / "dangling").symlink_to(folder / "elsewhere")
    os.mkfifo(folder / "pipe")
    before = state(folder)
    with pytest.raises(UsageError):
        AuditLog(folder / where)
    assert state(folder) == before


def test_what_comes_while_the_lock_is_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look and the lock, somebody writes there: the lock does not stay."""
    from edge_sdk.audit import log_files

    take = log_files._locked

    def slowly(path: Path) -> tuple[int, bool]:
        path.write_text("dear diary")
        return take(path)

    monkeypatch.setattr(log_files, "_locked", slowly)
    with pytest.raises(UsageError, match="no audit log"):
        AuditLog(folder / "a.jsonl")
    assert [path.name for path in folder.iterdir()] == ["a.jsonl"]
    assert (folder / "a.jsonl").read_text() == "dear diary"


@pytest.mark.parametrize("cut", [1, 9, 10, 12, 13, 20, 60, 88, 89, 200, -2], ids=str)
def test_the_first_record_cut_off_anywhere_is_still_a_log(
    model: edge_sdk.Session, folder: Path, cut: int
) -> None:
    log = folder / "a.jsonl"
    with AuditLog(log) as audit:
        audit.record(model, picture(), model.predict(picture()))
    log.write_bytes(log.read_bytes()[:cut])
    with AuditLog(log) as audit:
        kept = audit.record(model, picture(), model.predict(picture()))
    assert (kept.number, kept.torn_bytes > 0) == (1, True)
    assert "it had records" in kept.broken  # by its lock, which is noted once a record is synced
    log.with_name("a.jsonl.lock").unlink()
    assert verify(log).records == 0
