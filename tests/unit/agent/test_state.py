"""What is on the device's disk: journals, slots, the outbox; whole or not there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device_agent.core.standing import Update
from device_agent.journal import Journal
from device_agent.lock import StateLock
from device_agent.outbox import Outbox, open_outbox
from device_agent.slots import Slots
from edge_sdk.errors import FleetError, UnavailableError, UsageError
from edge_sdk.spec import encode
from edge_sdk.spec.deployment import ArtifactRef, Reported, State
from edge_sdk.spec.envelope import open_, read
from edge_sdk.spec.sketch import Window
from edge_sdk.spec.wire import Message, ReportedMessage, TelemetryMessage

A = ArtifactRef(digest="a" * 64, name="look", version="1.0.0")


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "apps")
    assert journal.read("look") == Update()
    update = Update(counter=3, state=State.PROBATION, target=A, attempt=2, refused=("b" * 64,))
    journal.write("look", update)
    assert Journal(tmp_path / "apps").read("look") == update


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"state": "flying"}', encode(Update(state=State.PROBATION))]
)
def test_a_journal_that_cannot_be_true_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "look.json").write_bytes(content)
    journal = Journal(tmp_path)
    found = journal.read("look")
    assert found == Update(reason="the journal could not be read; begun anew")
    assert (tmp_path / "look.unreadable").read_bytes() == content
    assert journal.read("look") == Update()


def test_a_slot_is_whole_once_it_is_marked(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    path = slots.prepare(A.digest)
    (path / "model").write_bytes(b"12345")
    assert not slots.is_complete(A.digest)
    slots.complete(A.digest, "onnx-fp32")
    assert slots.is_complete(A.digest)
    assert slots.prepare(A.digest) == path


def test_collecting_keeps_what_is_needed(tmp_path: Path) -> None:
    slots = Slots(tmp_path / "slots")
    for letter in "abc":
        slots.prepare(letter * 64)
        slots.complete(letter * 64, "x")
    assert sorted(slots.collect({"a" * 64})) == ["b" * 64, "c" * 64]
    assert [p.name for p in (tmp_path / "slots").iterdir()] == ["a" * 64]
    assert slots.collect({"a" * 64}) == []


def test_a_removal_that_was_cut_is_finished(tmp_path: Path) -> None:
    dead = tmp_path / "slots" / f".dead-{'b' * 64}"
    dead.mkdir(parents=True)
    (dead / "model").write_bytes(b"1")
    Slots(tmp_path / "slots")
    assert not dead.exists()


def test_one_lock(tmp_path: Path) -> None:
    lock = StateLock(tmp_path / "agent.lock")
    with pytest.raises(UsageError, match=r"Another agent runs .* \(process \d+\)"):
        StateLock(tmp_path / "agent.lock")
    lock.release()
    StateLock(tmp_path / "agent.lock").release()


# ------------------------------------------------------------------------------------ the outbox


def report(counter: int) -> ReportedMessage:
    return ReportedMessage(at_ms=1, reported=Reported(counter=counter))


def telemetry(app: str) -> TelemetryMessage:
    window = Window(
        app=app, artifact="", role="serve", started_ms=0, ended_ms=0, boot="b", monotonic_ms=0
    )
    return TelemetryMessage(windows=(window,))


def opened(folder: Path, max_bytes: int = 1 << 20, fleet: str = "f") -> Outbox:
    path = folder / "outbox.sqlite"
    return Outbox(path, fleet=fleet, max_bytes=max_bytes, now_ms=lambda: 1234)


def held(outbox: Outbox) -> list[tuple[int, Message | None]]:
    return [(number, read(open_(payload))) for number, payload in outbox.after(0, 1000)]


def test_messages_wait_in_order_and_survive_the_process(tmp_path: Path) -> None:
    first = opened(tmp_path)
    messages = [report(1), telemetry("look"), report(2)]
    assert [first.put(message) for message in messages] == [1, 2, 3]
    first.close()
    second = opened(tmp_path)
    assert second.name == first.name
    assert second.waiting == first.waiting
    assert held(second) == list(enumerate(messages, 1))
    envelope = open_(second.after(0, 1)[0][1])
    assert (envelope.outbox, envelope.sequence, envelope.sent_ms) == (second.name, 1, 1234)
    second.close()


def test_what_is_acknowledged_is_forgotten_and_its_number_never_used_again(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    for counter in (1, 2):
        outbox.put(report(counter))
    assert outbox.forget([2, 2, 7]) == 1
    assert outbox.forget([1]) == 1
    assert (outbox.waiting.messages, outbox.waiting.bytes) == (0, 0)
    outbox.close()
    again = opened(tmp_path)
    assert again.put(report(3)) == 3
    assert again.after(3, 10) == []
    again.close()


def test_a_full_outbox_drops_the_oldest_telemetry_first_then_the_oldest_report(
    tmp_path: Path,
) -> None:
    outbox = opened(tmp_path, 2000)
    outbox.put(report(1))
    for number in range(30):
        outbox.put(telemetry(f"look{number}"))
    assert outbox.waiting.bytes <= 2000
    kept = held(outbox)
    assert kept[0] == (1, report(1)), "reports outlive telemetry"
    assert kept[-1] == (31, telemetry("look29"))
    numbers = [number for number, _ in kept[1:]]
    assert numbers == list(range(numbers[0], 32)), "the newest telemetry is kept"
    assert outbox.waiting.dropped == 31 - len(kept)
    for counter in range(2, 40):
        outbox.put(report(counter))
    kept = held(outbox)
    assert all(isinstance(message, ReportedMessage) for _, message in kept)
    assert kept[-1][1] == report(39)
    dropped = outbox.waiting.dropped
    outbox.close()
    again = opened(tmp_path)
    assert again.waiting.dropped == dropped
    again.close()


def test_a_message_larger_than_the_outbox_is_kept_all_the_same(tmp_path: Path) -> None:
    outbox = opened(tmp_path, 10)
    outbox.put(report(1))
    outbox.put(report(2))
    assert held(outbox) == [(2, report(2))]
    outbox.close()


def test_what_can_never_be_sent_is_refused(tmp_path: Path) -> None:
    outbox = opened(tmp_path)
    with pytest.raises(FleetError, match="over the limit"):
        outbox.put(telemetry("x" * 600_000))
    assert outbox.put(report(1)) == 1
    outbox.close()


def test_another_fleet_hears_nothing_of_what_was_owed_to_the_first(tmp_path: Path) -> None:
    first = opened(tmp_path)
    first.put(report(1))
    first.close()
    again = opened(tmp_path)
    assert (again.name, again.waiting.messages) == (first.name, 1)
    again.close()
    other = opened(tmp_path, fleet="another")
    assert other.name != first.name
    assert other.waiting.messages == 0
    assert other.put(report(1)) == 1
    other.close()


def test_a_damaged_outbox_is_set_aside_and_another_begun(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    damage = b"no database" * 1000
    path.write_bytes(damage)
    with pytest.raises(UnavailableError, match="is damaged"):
        opened(tmp_path)
    outbox = open_outbox(path, fleet="f", max_bytes=1 << 20, now_ms=lambda: 1)
    assert outbox.put(report(1)) == 1
    assert (tmp_path / "outbox.damaged").read_bytes() == damage
    outbox.close()


def test_an_outbox_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be used") as caught:
        opened(tmp_path / "absent")
    assert "df -h" in caught.value.hint


def test_kill_9_loses_nothing_that_put_has_returned_from(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent)]!r}
from pathlib import Path
from test_state import opened, report
outbox = opened(Path({str(tmp_path)!r}))
while True:
    print(outbox.put(report(1)), flush=True)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split("\n")[:-1]]
    outbox = opened(tmp_path)
    numbers = [number for number, _ in outbox.after(0, 100_000)]
    assert numbers[: len(told)] == told
    assert numbers == list(range(1, len(numbers) + 1))
    outbox.close()
