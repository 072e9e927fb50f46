"""An application that is to leave a trail: what a real worker process serves, record by record."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest
from picture_models import BRIGHT, DARK, slot, write_pictures
from test_worker import Worker

from device_agent import ipc
from device_agent.config import AgentSettings
from edge_sdk.audit import verify


async def started(pictures: Path, audit: Path | str) -> Worker:
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        *ipc.arguments(theirs.fileno()), pass_fds=[theirs.fileno()], start_new_session=True
    )
    theirs.close()
    worker = Worker(process, await ipc.SupervisorEnd.open(ours))
    source = ipc.Source(kind="folder", path=str(pictures), interval_ms=1)
    await worker.line.send(
        ipc.Configure(app="light", source=source, boot="boot-1", audit=str(audit))
    )
    return worker


async def ended(worker: Worker) -> None:
    await worker.line.send(ipc.Stop())
    await worker.process.wait()
    await worker.line.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return write_pictures(tmp_path / "pictures", DARK, BRIGHT)


def test_every_served_answer_is_there_and_no_shadowed_one(tmp_path: Path, pictures: Path) -> None:
    log = tmp_path / "audit" / "light.jsonl"
    right = slot(tmp_path / "slots")
    wrong = slot(tmp_path / "slots", "wrong", golden_is_right=False, version="2.0.0")

    async def story() -> ipc.Beat:
        worker = await started(pictures, log)
        await worker.serve(right)
        await worker.shadow(wrong)
        beat = await worker.until(ipc.Beat, lambda b: b.shadow_inferences >= 10)
        await ended(worker)
        return beat

    beat = asyncio.run(story())
    assert beat.errors == 0
    found = verify(log)
    assert found.passed
    assert found.records >= beat.inferences
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["model"]["digest"] for line in lines} == {right[1]}
    assert {line["answer"]["top"][0]["label"] for line in lines} == {"dark", "bright"}
    assert log.stat().st_mode & 0o777 == 0o600
    assert log.parent.stat().st_mode & 0o777 == 0o700


def limit_files(worker: Worker, size: int | str) -> None:
    """From now on no file of this very process grows beyond that: its disk is full."""
    command = ["prlimit", f"--pid={worker.process.pid}", f"--fsize={size}:unlimited"]
    subprocess.run(command, check=True)


def test_a_full_disk_costs_records_and_no_answers_and_the_trail_says_so(
    tmp_path: Path, pictures: Path
) -> None:
    log = tmp_path / "audit" / "light.jsonl"

    async def story() -> tuple[ipc.Beat, ipc.Beat]:
        worker = await started(pictures, log)
        await worker.serve(slot(tmp_path / "slots"))
        await worker.answered(5)
        limit_files(worker, log.stat().st_size + 100)  # the next record is cut in the middle
        full = await worker.until(ipc.Beat, lambda b: b.unrecorded > 5)
        later = await worker.until(ipc.Beat)
        assert later.no_record == full.no_record  # one sentence, until it is over
        limit_files(worker, "unlimited")
        again = await worker.until(ipc.Beat, lambda b: b.inferences > later.inferences + 5)
        (window,) = await worker.stop()
        assert (window.errors, window.unrecorded) == (0, again.unrecorded)
        assert window.inferences > window.unrecorded > 5
        found = verify(log)
        assert found.passed
        assert found.lost == window.unrecorded
        assert found.records + found.lost == window.inferences
        return full, again

    full, again = asyncio.run(story())
    assert full.errors == again.errors == 0
    assert full.no_record.startswith("answers are not recorded since 20")
    assert "There is no room to write" in full.no_record


def test_where_nothing_can_be_written_the_model_answers_on(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "audit").mkdir()
    log = tmp_path / "audit" / "light.jsonl"
    log.write_text("dear diary\n")

    async def story() -> ipc.Beat:
        worker = await started(pictures, log)
        await worker.serve(slot(tmp_path / "slots"))
        beat = await worker.until(ipc.Beat, lambda b: b.unrecorded > 2)
        assert (beat.inferences, beat.errors) == (beat.unrecorded, 0)
        assert "no audit log that can be continued" in beat.no_record
        assert log.read_text() == "dear diary\n"
        log.unlink()  # somebody has looked into it
        await worker.until(ipc.Beat, lambda b: b.inferences > b.unrecorded + 5)
        (window,) = await worker.stop()
        assert verify(log).lost == window.unrecorded
        return beat

    assert asyncio.run(story()).last_error == ""


def test_a_folder_that_is_none(tmp_path: Path, pictures: Path) -> None:
    (tmp_path / "audit").write_text("a file is here")

    async def story() -> None:
        worker = await started(pictures, tmp_path / "audit" / "light.jsonl")
        await worker.serve(slot(tmp_path / "slots"))
        beat = await worker.until(ipc.Beat, lambda b: b.unrecorded > 2)
        assert beat.errors == 0
        assert "audit" in beat.no_record
        await ended(worker)

    asyncio.run(story())


def test_it_is_off_unless_it_is_asked_for(tmp_path: Path, pictures: Path) -> None:
    async def story() -> None:
        worker = await started(pictures, "")
        await worker.serve(slot(tmp_path / "slots"))
        await worker.until(ipc.Beat, lambda b: b.inferences > 2)
        await ended(worker)

    asyncio.run(story())
    assert not list(tmp_path.rglob("*.jsonl*"))
    app = {"source": "folder", "path": "pictures"}
    settings = msgspec.convert({"enrolment": "x", "apps": {"light": app}}, AgentSettings)
    assert settings.apps["light"].audit is False
