"""A log that does not hold is continued, and that is told: at once, and in its next record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import edge_sdk
from edge_sdk.audit import AuditLog, standing, verify
from edge_sdk.spec import Classes, ClassScore
from tests.planted_pictures import picture

ANSWER = Classes(top=(ClassScore(index=0, label="lit", score=0.75),))


def write(path: Path, model: edge_sdk.Session, count: int, **options: int) -> str:
    """Records, and what did not hold before them."""
    with AuditLog(path, sync=False, **options) as log:
        for index in range(count):
            log.record(model, picture(), ANSWER, index=index)
        return log.broken


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def front(log: Path) -> None:
    log.write_bytes(b"".join(lines(log)[2:]))


def middle(log: Path) -> None:
    kept = lines(log)
    log.write_bytes(b"".join([*kept[:2], *kept[3:]]))


def scribbled(log: Path) -> None:
    kept = lines(log)
    log.write_bytes(b"".join([*kept[:2], b"\xff not JSON\n", *kept[3:]]))


def changed(log: Path) -> None:
    kept = lines(log)
    kept[-1] = kept[-1].replace(b"0.75", b"0.95")
    log.write_bytes(b"".join(kept))


def longer(log: Path) -> None:
    log.write_bytes(log.read_bytes() + b"dear diary\n")


def zeros(log: Path) -> None:
    """What a power cut leaves on some filesystems."""
    log.write_bytes(log.read_bytes() + bytes(500))


def emptied(log: Path) -> None:
    log.write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "says", "next_number", "hold"),
    [
        (front, "audit.jsonl: it is number 3, and the log begins with 1", 7, 0),
        (middle, "audit.jsonl: it is number 4 after number 2", 7, 2),
        (scribbled, "audit.jsonl: it is no whole record", 7, 2),
        (changed, "audit.jsonl: it was changed", 6, 5),
        (longer, "audit.jsonl: it is no whole record", 7, 6),
        (zeros, "audit.jsonl: it is no whole record", 7, 6),
        (emptied, "audit.jsonl: it had records, and has none", 1, 0),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_it_is_continued_and_told(
    model: edge_sdk.Session,
    log: Path,
    harm: Callable[[Path], None],
    says: str,
    next_number: int,
    hold: int,
) -> None:
    write(log, model, 6)
    harm(log)
    before = log.read_bytes()
    assert says in write(log, model, 2)
    assert log.read_bytes().startswith(before)  # what is broken is evidence, and stays
    first, second = map(json.loads, lines(log)[-2:])
    assert first["number"] == next_number
    assert says in first["broken"]
    assert second["broken"] == ""
    report = verify(log)
    assert not report.passed
    assert report.records == hold
    assert report.after >= 1  # what was written since is held against each other
    again = bytes(log.read_bytes()).replace(b'"index":1', b'"index":7')
    log.write_bytes(again)
    assert verify(log).more_bad > report.more_bad  # and so is what is done to it later


def test_a_log_that_holds_says_nothing(model: edge_sdk.Session, log: Path) -> None:
    assert write(log, model, 30, max_bytes=4000, keep=4) == ""
    assert write(log, model, 3, max_bytes=4000, keep=4) == ""
    assert b'"broken":"",' in log.read_bytes()
    assert verify(log).passed


@pytest.mark.parametrize("number", ["4", "3", "2", "1"])
def test_between_files_it_looks_however_large_they_are(
    model: edge_sdk.Session, log: Path, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "LOOKED_AT", 100)
    monkeypatch.setattr(standing, "LONGEST_LINE", 1500)
    write(log, model, 40, max_bytes=5000, keep=4)
    assert write(log, model, 1, max_bytes=5000, keep=4) == ""
    log.with_name(f"audit.jsonl.{number}").unlink()
    said = write(log, model, 1, max_bytes=5000, keep=4)
    assert " after number " in said or "those before were taken away" in said


def test_in_the_middle_it_looks_at_what_is_new_alone(
    model: edge_sdk.Session, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening has a bound; ``verify`` has none."""
    write(log, model, 40)
    kept = lines(log)
    monkeypatch.setattr(standing, "LONGEST_LINE", 1500)
    monkeypatch.setattr(standing, "LOOKED_AT", sum(map(len, kept[20:])))
    log.write_bytes(b"".join([*kept[:30], *kept[31:]]))
    assert "it is number 32 after number 30" in write(log, model, 1)
    log.write_bytes(b"".join([*kept[:10], *kept[11:]]))
    assert write(log, model, 1) == ""
    found = verify(log)
    assert found.bad is not None
    assert found.bad.line == 11


def test_rotation_takes_a_break_away_and_what_was_told_of_it_later(
    model: edge_sdk.Session, log: Path
) -> None:
    write(log, model, 6)
    middle(log)
    write(log, model, 4, max_bytes=4000, keep=2)
    assert not verify(log).passed
    write(log, model, 40, max_bytes=4000, keep=2)
    report = verify(log)
    assert report.passed
    assert "rotation took the oldest files away" in report.unchecked
