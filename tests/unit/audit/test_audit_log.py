"""The audit log: whole lines in a chain, bounded, private, and what was done to it is found."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

import edge_sdk
from edge_sdk.audit import AuditLog, verify
from edge_sdk.audit.chain import FIRST, files_of
from edge_sdk.cli.main import main
from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing import Geometry, Mask
from edge_sdk.spec import Classes, ClassScore, Identity
from tests import picture_models
from tests.planted_pictures import picture, planted, session
from tests.tiny_models import onnx_affine

ROOT = Path(__file__).resolve().parents[3]
ANSWER = Classes(top=(ClassScore(index=0, label="lit", score=0.75),))


def write(path: Path, model: edge_sdk.Session, count: int, **options: object) -> None:
    with AuditLog(path, **options) as log:
        for index in range(count):
            log.record(model, picture(), ANSWER, index=index)


def test_a_record_says_what_was_answered_by_what_and_holds_no_input(
    model: edge_sdk.Session, log: Path
) -> None:
    frame = picture()
    at = datetime(2026, 3, 1, 13, 0, 0, 250000, tzinfo=timezone(timedelta(hours=1)))
    with AuditLog(log, clock=lambda: at) as audit:
        answer = model.predict(frame)
        why = model.explain(frame, runs=300)
        kept = audit.record(model, frame, answer, explanation=why, note="door 3")
    (line,) = log.read_bytes().splitlines()
    found = json.loads(line)
    assert found["time"] == "2026-03-01T12:00:00.250+00:00"
    assert found["model"]["name"] == "m.onnx"
    assert found["model"]["digest"] == sha256(log.with_name("m.onnx").read_bytes()).hexdigest()
    assert found["placement"]["backend"] == "onnxruntime"
    assert found["placement"]["actual"] == ["cpu"]
    assert found["inputs"] == {
        "picture": {
            "dtype": "uint8",
            "shape": [32, 32, 3],
            "sha256": sha256(frame.tobytes()).hexdigest(),
        }
    }
    assert [c["label"] for c in found["answer"]["top"]] == ["lit", "unlit"]
    assert found["explanation"]["target"] == "lit"
    assert found["explanation"]["focus"]
    assert found["note"] == "door 3"
    assert (found["number"], found["previous"]) == (1, FIRST)
    assert kept.number == 1
    assert len(line) < 4000  # digests, scores, and 64 means: no picture


def test_an_artifact_is_named_by_name_version_and_digest(tmp_path: Path, log: Path) -> None:
    digest = picture_models.artifact(tmp_path / "light.edge", version="2.3.4")
    for ready in ("loaded", "lazy"):
        with edge_sdk.load(tmp_path / "light.edge", ready=ready) as light, AuditLog(log) as audit:
            answer = light.predict(np.full((4, 4), 200, np.uint8))
            kept = audit.record(light, np.full((4, 4), 200, np.uint8), answer)
        assert kept.model == Identity(name="light", version="2.3.4", digest=digest)
        assert kept.variant == "tflite-fp32"
        assert kept.placement.actual == ("xnnpack",)
    assert verify(log).records == 2


def test_threads_share_a_log(model: edge_sdk.Session, log: Path) -> None:
    with AuditLog(log, sync=False, max_bytes=20000, keep=9) as audit, ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda i: audit.record(model, picture(), ANSWER, index=i), range(80)):
            pass
    found = verify(log)
    assert found.passed
    assert found.records == 80


def test_outputs_and_masks_leave_digests_and_sizes_alone(tmp_path: Path, log: Path) -> None:
    """An autoencoder's output is its input."""
    (tmp_path / "affine.onnx").write_bytes(onnx_affine())
    x = np.array([[1, -2, 3, 0.5]], np.float32)
    words = np.array(["secret words"], object)
    with edge_sdk.load(tmp_path / "affine.onnx") as affine, AuditLog(log) as audit:
        outputs = affine.run({"x": x})
        audit.record(affine, {"x": x, "words": words}, outputs)
        scores = np.eye(8, dtype=np.float32)
        audit.record(affine, {"x": x}, Mask(scores, Geometry(), 0.5))
        with pytest.raises(UsageError, match="no answer of a session"):
            audit.record(affine, {"x": x}, "yes")
    one, two = map(json.loads, log.read_text().splitlines())
    assert one["answer"]["outputs"]["y"].keys() == {"dtype", "shape", "sha256"}
    assert one["answer"]["outputs"]["y"]["sha256"] == sha256(outputs["y"].tobytes()).hexdigest()
    assert one["inputs"]["words"]["dtype"] == "string"
    assert "secret" not in log.read_text()
    assert two["answer"]["kind"] == "area"
    assert two["answer"]["share"] == 0.125
    assert verify(log).passed


def test_it_is_the_owners_alone(model: edge_sdk.Session, log: Path) -> None:
    log.touch(0o644)
    mask = os.umask(0)
    try:
        write(log, model, 9, max_bytes=3000)
    finally:
        os.umask(mask)
    files = list(log.parent.glob("audit.jsonl*"))
    assert len(files) > 3
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_it_goes_on_where_it_was_and_the_chain_holds(model: edge_sdk.Session, log: Path) -> None:
    for _ in range(3):
        write(log, model, 2)
    found = verify(log)
    assert found.passed
    assert found.records == 6
    assert found.first is not None
    assert found.last is not None
    assert (found.first[0], found.last[0]) == (1, 6)
    with AuditLog(log) as audit:
        assert audit.head == found.head


def test_rotation_bounds_it_and_the_chain_goes_through(model: edge_sdk.Session, log: Path) -> None:
    write(log, model, 30, max_bytes=4000, keep=2)
    files = sorted(log.parent.glob("audit.jsonl*"))
    assert [f.name for f in files] == [
        *("audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.lock")
    ]
    assert all(file.stat().st_size <= 4000 for file in files)
    found = verify(log)
    assert found.passed
    assert found.first is not None
    assert found.last is not None
    assert found.first[0] > 1
    assert found.last[0] == 30
    assert found.records == 31 - found.first[0]


def test_a_crash_between_two_renames_loses_nothing(model: edge_sdk.Session, log: Path) -> None:
    write(log, model, 30, max_bytes=4000, keep=3)
    before = verify(log)
    log.rename(log.with_name("kept"))  # the newest had been renamed, and no new one begun
    for number in (3, 2, 1):
        log.with_name(f"audit.jsonl.{number}").rename(log.with_name(f"audit.jsonl.{number + 1}"))
    log.with_name("kept").rename(log.with_name("audit.jsonl.1"))
    assert verify(log).head == before.head
    write(log, model, 1)
    found = verify(log)
    assert found.passed
    assert found.last is not None
    assert found.last[0] == 31


def test_what_has_no_record_is_said_by_the_next_and_added_up(
    model: edge_sdk.Session, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = model.predict(picture())
    with AuditLog(log) as opened:
        for lost in (0, 3, 0, 1):
            opened.record(model, picture(), answer, lost=lost)
    assert verify(log).lost == 4
    assert main(["audit", "verify", str(log)]) == 0  # whole, and it says what is missing
    assert "lost     4 answers have no record" in capfd.readouterr().out


def test_no_room_for_another_file_pushes_none_out(model: edge_sdk.Session, log: Path) -> None:
    """At every try the older ones would move up by one, and the oldest go."""
    write(log, model, 30, max_bytes=4000, keep=2)
    answer = model.predict(picture())
    with AuditLog(log, max_bytes=4000, keep=2) as opened:
        opened.record(model, picture(), answer)  # for which the model's file is read, once
        while log.stat().st_size < 3000:
            opened.record(model, picture(), answer)
        older = json.loads(log.with_name("audit.jsonl.1").read_text().splitlines()[0])
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))  # not one more can be opened
        lost = 0
        try:
            for _ in range(20):
                try:
                    opened.record(model, picture(), answer)
                except UsageError:
                    lost += 1
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert lost > 15
        opened.record(model, picture(), answer, lost=lost)
    found = verify(log)
    assert found.passed
    assert found.lost == lost
    assert found.first is not None
    assert found.first[0] == older["number"]  # one rotation, and no more


@pytest.mark.parametrize("cut", [1, 2, 300], ids=["newline", "brace", "half"])
def test_a_line_that_was_not_finished_is_cut_off_and_told_of(
    model: edge_sdk.Session, log: Path, cut: int
) -> None:
    write(log, model, 3)
    whole = log.read_bytes()
    last = len(whole.splitlines(keepends=True)[-1])
    log.write_bytes(whole[:-cut])
    found = verify(log)
    assert not found.passed
    assert found.bad is not None
    assert (found.bad.line, found.records) == (3, 2)
    assert "cut off" in found.bad.why
    write(log, model, 1)
    assert verify(log).records == 3
    assert json.loads(log.read_text().splitlines()[-1])["torn_bytes"] == last - cut


def test_a_program_that_is_killed_leaves_whole_records(tmp_path: Path, log: Path) -> None:
    planted(tmp_path / "m.onnx")
    program = textwrap.dedent(
        f"""
        import sys
        from edge_sdk.audit import AuditLog
        from tests.planted_pictures import picture, session
        from pathlib import Path
        with session(Path({str(tmp_path / "m.onnx")!r})) as model, AuditLog({str(log)!r}) as log:
            answer = model.predict(picture())
            while True:
                print(log.record(model, picture(), answer).number, flush=True)
        """
    )
    running = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    while int(running.stdout.readline()) < 20:
        pass
    running.send_signal(signal.SIGKILL)
    said = [int(line) for line in running.stdout if line.endswith("\n")]
    running.stdout.close()
    running.wait()
    with AuditLog(log):
        pass
    found = verify(log)
    assert found.passed
    assert found.records >= max(said, default=20)  # what was told is there


# What is done to it is found


def change_score(lines: list[bytes]) -> None:
    lines[3] = lines[3].replace(b"0.75", b"0.95")


def change_chain(lines: list[bytes]) -> None:
    lines[3] = lines[3].replace(b'"chain":"', b'"chain":"0', 1)


def take_away(lines: list[bytes]) -> None:
    del lines[3]


def swap(lines: list[bytes]) -> None:
    lines[3], lines[4] = lines[4], lines[3]


def repeat(lines: list[bytes]) -> None:
    lines.insert(3, lines[2])


def forge(lines: list[bytes]) -> None:
    """Changed, and sealed anew by somebody who knows how."""
    body = lines[3].replace(b"0.75", b"0.95").split(b',"chain":')[0] + b"}"
    lines[3] = body[:-1] + b',"chain":"' + sha256(body).hexdigest().encode() + b'"}\n'


def scribble(lines: list[bytes]) -> None:
    lines[3] = b"\xff\x00 not JSON\n"


@pytest.mark.parametrize(
    ("tamper", "line", "why"),
    [
        (change_score, 4, "it was changed"),
        (change_chain, 4, "no whole record"),
        (take_away, 4, "number 5 after number 3"),
        (swap, 4, "number 5 after number 3"),
        (repeat, 4, "number 3 after number 3"),
        (forge, 5, "after another line"),
        (scribble, 4, "no whole record"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_first_bad_line_is_named(
    model: edge_sdk.Session,
    log: Path,
    capfd: pytest.CaptureFixture[str],
    tamper: Callable[[list[bytes]], None],
    line: int,
    why: str,
) -> None:
    write(log, model, 6)
    lines = log.read_bytes().splitlines(keepends=True)
    tamper(lines)
    log.write_bytes(b"".join(lines))
    found = verify(log)
    assert not found.passed
    assert found.bad is not None
    assert (found.bad.line, found.records) == (line, line - 1)
    assert why in found.bad.why
    assert main(["audit", "verify", str(log)]) == 1
    assert f"BROKEN at {log}, line {line}: " in capfd.readouterr().out


def test_the_last_records_taken_away_are_missed_by_who_noted_the_head(
    model: edge_sdk.Session, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(log, model, 6)
    noted = verify(log).head
    write(log, model, 1)
    assert verify(log, noted).passed  # it has grown since
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:5]))
    assert verify(log).passed
    found = verify(log, noted)
    assert not found.passed
    assert found.bad is not None
    assert "rewritten or taken away" in found.bad.why
    assert main(["audit", "verify", str(log), "--head", noted, "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["bad"]["line"] == 0
    with pytest.raises(UsageError, match="no chain value"):
        verify(log, "abc")


# What is taken away is noticed


def without(log: Path, *records: int) -> None:
    """Take records out of a log's files, which stay."""
    for path in files_of(log):
        lines = path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if json.loads(line)["number"] not in records]
        path.write_bytes(b"".join(kept))


@pytest.mark.parametrize("lock", [True, False], ids=["lock", "no lock"])
@pytest.mark.parametrize("with_head", [True, False], ids=["head", "no head"])
@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([1], "always"),
        ([1, 2], "always"),
        ([3], "always"),
        ([1, 3], "always"),
        ([6], "with the head"),
        ([5, 6], "with the head"),
        ([1, 2, 3, 4, 5, 6], "with either"),
    ],
    ids=str,
)
def test_records_taken_away(
    model: edge_sdk.Session, log: Path, records: list[int], found: str, with_head: bool, lock: bool
) -> None:
    write(log, model, 6)
    noted = verify(log).head if with_head else None
    without(log, *records)
    if not lock:
        log.with_name("audit.jsonl.lock").unlink()
    noticed = {"always": True, "with the head": with_head, "with either": with_head or lock}[found]
    report = verify(log, noted)
    assert report.passed is not noticed
    words = ["audit", "verify", str(log), *(("--head", noted) if noted else ())]
    assert main(words) == int(noticed)


@pytest.mark.parametrize("with_head", [True, False], ids=["head", "no head"])
def test_a_copy_that_begins_in_the_middle(
    model: edge_sdk.Session, log: Path, with_head: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    write(log, model, 4)
    copy = log.with_name("b.jsonl")
    copy.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[2:]))
    report = verify(copy, verify(log).head if with_head else None)
    assert report.bad is not None
    assert (report.bad.file, report.bad.line, report.records) == (str(copy), 1, 0)
    assert "it is number 3, and the log begins with 1" in report.bad.why
    write(copy, model, 1)  # does not note that it begins there
    assert verify(copy).bad == report.bad
    assert main(["audit", "verify", str(copy)]) == 1
    assert "BROKEN" in capfd.readouterr().out


@pytest.mark.parametrize("gone", ["emptied", "removed"])
def test_a_log_that_was_emptied_or_removed_does_not_look_new(
    model: edge_sdk.Session, log: Path, gone: str
) -> None:
    write(log, model, 3)
    log.unlink()
    if gone == "emptied":
        log.touch()
    report = verify(log)
    assert report.bad is not None
    assert "it had records, and has none" in report.bad.why
    write(log, model, 1)
    write(log, model, 1)
    log.with_name("audit.jsonl.lock").unlink()
    report = verify(log)
    assert report.bad is not None
    assert (report.bad.line, report.after) == (1, 1)
    assert "the log did not hold: audit.jsonl: it had records, and has none" in report.bad.why


@pytest.mark.parametrize("with_head", [True, False], ids=["head", "no head"])
@pytest.mark.parametrize("number", ["4", "3", "2", "1", ""], ids=lambda n: f"file {n}")
def test_a_whole_file_taken_away(
    model: edge_sdk.Session, log: Path, number: str, with_head: bool
) -> None:
    write(log, model, 30, max_bytes=4000, keep=4)
    noted = verify(log).head if with_head else None
    path = log.with_name(f"audit.jsonl.{number}".rstrip("."))
    path.unlink()
    report = verify(log, noted)
    if not number and not with_head:  # like records cut off at the end
        assert report.passed
        return
    assert report.bad is not None
    assert report.bad.line == (1 if number else 0)
    if number == "4":
        assert report.bad.file == str(log.with_name("audit.jsonl.3"))
        with AuditLog(log) as audit:
            assert "those before were taken away" in audit.broken


def test_records_taken_from_the_front_of_a_rotated_log(model: edge_sdk.Session, log: Path) -> None:
    write(log, model, 30, max_bytes=4000, keep=2)
    whole = verify(log)
    assert whole.first is not None
    without(log, whole.first[0])
    report = verify(log)
    assert report.bad is not None
    assert report.bad.file == str(log.with_name("audit.jsonl.2"))


def test_what_rotation_took_is_said(
    model: edge_sdk.Session, log: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(log, model, 9)
    assert verify(log).unchecked == ""
    write(log, model, 30, max_bytes=4000, keep=2)
    report = verify(log)
    assert report.passed
    assert report.first is not None
    gone = f"records 1 to {report.first[0] - 1} are not in it: rotation took"
    assert gone in report.unchecked
    assert main(["audit", "verify", str(log)]) == 0
    assert f"before   {gone}" in capfd.readouterr().out
    log.with_name("audit.jsonl.lock").unlink()
    report = verify(log)
    assert report.passed
    assert "nothing says so" in report.unchecked
    write(log, model, 1)  # a log of before, whose lock file noted nothing, is noted now
    assert "noted" in verify(log).unchecked


def test_fewer_older_files_than_before(model: edge_sdk.Session, log: Path) -> None:
    write(log, model, 30, max_bytes=4000, keep=4)
    log.with_name("audit.jsonl.20260301").write_text("somebody's own copy")
    write(log, model, 4, max_bytes=4000, keep=2)
    log.with_name("audit.jsonl.20260301").unlink()  # it would be read as the oldest
    assert verify(log).passed
    assert not log.with_name("audit.jsonl.3").exists()


def test_a_crash_after_the_note_is_no_loss(
    model: edge_sdk.Session, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(log, model, 30, max_bytes=4000, keep=2)

    def crash(path: Path) -> None:
        raise KeyboardInterrupt(str(path))

    monkeypatch.setattr(Path, "unlink", crash)
    with pytest.raises(KeyboardInterrupt):
        write(log, model, 5, max_bytes=4000, keep=2)
    monkeypatch.undo()
    assert verify(log).passed
    write(log, model, 5, max_bytes=4000, keep=2)
    assert verify(log).passed


def test_a_file_of_an_older_one_missing_in_between(model: edge_sdk.Session, log: Path) -> None:
    write(log, model, 30, max_bytes=4000, keep=4)
    log.with_name("audit.jsonl.2").unlink()
    found = verify(log)
    assert found.bad is not None
    assert found.bad.file == str(log.with_name("audit.jsonl.1"))
    assert found.bad.line == 1


# What is refused


def test_another_program_has_it(model: edge_sdk.Session, log: Path) -> None:
    with AuditLog(log), pytest.raises(UsageError, match="Another program writes"):
        AuditLog(log)
    write(log, model, 1)


def test_no_log_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no audit log at"):
        verify(tmp_path / "none.jsonl")


def test_a_full_disk_leaves_whole_lines(model: edge_sdk.Session, log: Path) -> None:
    write(log, model, 2)
    size = log.stat().st_size
    program = textwrap.dedent(
        f"""
        import resource, signal
        from pathlib import Path
        from edge_sdk.audit import AuditLog
        from edge_sdk.errors import UnavailableError
        from tests.planted_pictures import picture, session
        source = Path({str(log.with_name("m.onnx"))!r})
        with session(source) as model, AuditLog({str(log)!r}) as log:
            answer = model.predict(picture())
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 100},) * 2)
            try:
                log.record(model, picture(), answer)
            except UnavailableError as error:
                print(error.message)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "no room to write" in done.stdout
    assert log.stat().st_size == size
    assert verify(log).records == 2


def test_a_closed_log(model: edge_sdk.Session, log: Path) -> None:
    audit = AuditLog(log)
    audit.close()
    audit.close()
    with pytest.raises(UsageError, match="closed"):
        audit.record(model, picture(), ANSWER)
    with pytest.raises(UsageError, match="needs room"):
        AuditLog(log, keep=0)


def test_a_bare_model_that_is_gone(tmp_path: Path, log: Path) -> None:
    path = planted(tmp_path / "gone.onnx")
    with session(path) as model, AuditLog(log) as audit:
        path.unlink()
        with pytest.raises(UnavailableError, match="cannot be read any more"):
            audit.record(model, picture(), ANSWER)
