"""The local socket: questions, answers, and what is no question."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from device_agent.control import SOCKET, AppStatus, Question, Status, ask, serve
from device_agent.link import Traffic
from device_agent.outbox import Waiting
from device_agent.runner import WorkerStatus
from device_agent.status import describe
from edge_sdk.errors import UnavailableError, UpdateError
from edge_sdk.spec.deployment import AppState, ArtifactRef, State

A, B = (
    ArtifactRef(digest=letter * 64, name="look", version=f"1.{i}.0")
    for i, letter in enumerate("ab")
)
STATUS = Status(
    device="pi-1",
    fleet="small",
    broker="mqtt://127.0.0.1:1883",
    pid=7,
    boot="b",
    connected=False,
    refusal="not authorized",
    answered=False,
    counter=3,
    apps={
        "look": AppStatus(
            state=AppState(serving=A, state=State.ROLLED_BACK, reason="look 1.1.0: slow"),
            worker=WorkerStatus(
                inferences=5, errors=1, refused={"dark": 3, "blank": 1}, problem="serve: no engine"
            ),
        ),
        "hear": AppStatus(
            state=AppState(target=B, state=State.DOWNLOADING, problems=("waits: no room",)),
            worker=WorkerStatus(unrecorded=7),
        ),
    },
    outbox=Waiting(messages=2, bytes=1500, dropped=1),
    traffic=Traffic(),
)


async def answer(question: Question) -> Status:
    if question.command == "rollback":
        raise UpdateError("There is no previous version to go back to.", "edge agent status")
    return STATUS


def test_a_question_and_its_answer(tmp_path: Path) -> None:
    folder = tmp_path / ("a-long-name-" * 12)  # longer than a socket's name may be
    folder.mkdir()
    (folder / SOCKET).touch()  # left by an agent that was killed

    async def scenario() -> None:
        server = await serve(folder, answer)
        assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600
        assert await ask(folder, Question(command="status")) == STATUS
        with pytest.raises(UpdateError, match="no previous version") as caught:
            await ask(folder, Question(command="rollback", app="look"))
        assert caught.value.hint == "edge agent status"
        server.close()

    asyncio.run(scenario())
    with pytest.raises(UnavailableError, match="No agent runs"):
        asyncio.run(ask(tmp_path, Question(command="status")))


@pytest.mark.parametrize("line", [b"hello\n", b"{}\n", b'{"command": "explode"}\n', b"\xff\n"])
def test_what_is_no_question_is_said_to_be_none(tmp_path: Path, line: bytes) -> None:
    async def scenario() -> None:
        server = await serve(tmp_path, answer)
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / SOCKET))
        writer.write(line + b'{"command": "status"}\n')
        assert b"That is no question" in await reader.readline()
        assert b'"ok":true' in await reader.readline()
        writer.close()
        server.close()

    asyncio.run(scenario())


def test_a_status_for_a_person() -> None:
    assert describe(STATUS).splitlines() == [
        "pi-1 of small, process 7",
        "broker   mqtt://127.0.0.1:1883: not connected. not authorized",
        "outbox   2 waiting (1.5 kB), 1 dropped",
        "",
        "app   state              serving     previous  shadow  answered  failed  refused  "
        "unrecorded",
        "----  -----------------  ----------  --------  ------  --------  ------  -------  "
        "----------",
        "hear  downloading 1.1.0  -           -         -              0       0        0  "
        "         7",
        "look  rolled_back        look 1.0.0  -         -              5       1        4  "
        "         0",
        "hear: waits: no room",
        "look: rolled_back: look 1.1.0: slow",
        "look: its limits refused 3 dark, 1 blank",
        "look: serve: no engine",
    ]
