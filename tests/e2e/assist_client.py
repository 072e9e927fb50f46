"""A browser and a satellite of Home Assistant, in its own Python: a job a line, an answer a line.

    {"job": "add", "host": "127.0.0.1", "port": 10400}     add the Wyoming integration
    {"job": "entry"}                                       its state
    {"job": "reload"}                                      reload it
    {"job": "service"}                                     what it was told by ``describe``
    {"job": "words"}                                       what the wake-word entity offers
    {"job": "hear", "pcm": "FILE", "word": "alexa", "pause_s": 0.064, "open_s": 2}
                                                           the wake-word stage of a pipeline: a
                                                           sound, its chunks so far apart, and
                                                           then so long an open, quiet microphone

It speaks Home Assistant's REST and WebSocket interfaces and nothing else. Its first argument is
where Home Assistant is.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import aiohttp

ENTITY = "wake_word.edgeloop"
CHUNK_BYTES, CHUNK_S = 2048, 0.064
FLOWS, ENTRIES = "/api/config/config_entries/flow", "/api/config/config_entries/entry"
PIPELINE = {
    "language": "en",
    "conversation_engine": "conversation.home_assistant",
    "conversation_language": "en",
    "stt_engine": "stt.never_asked",  # a pipeline has one; ours ends before it
    "stt_language": "en",
    "tts_engine": None,
    "tts_language": None,
    "tts_voice": None,
    "wake_word_entity": ENTITY,
}


class Client:
    """The owner of a new Home Assistant."""

    def __init__(self, session: aiohttp.ClientSession, home: str) -> None:
        self.session, self.home = session, home
        self.headers: dict[str, str] = {}
        self.entry = ""

    async def ask(self, path: str, body: dict | None = None):
        """What REST answers: a POST if there is a body."""
        how = {"headers": self.headers}
        if body is not None:
            how["json"] = body
        async with self.session.request(
            "GET" if body is None else "POST", self.home + path, **how
        ) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{path}: {answer.status} {await answer.text()}")
            return await answer.json()

    async def move_in(self) -> None:
        """Become the owner, as in a browser's first minute."""
        owner = {"name": "A", "username": "a", "password": "a", "language": "en"}
        here = {"client_id": self.home + "/"}
        code = (await self.ask("/api/onboarding/users", {**owner, **here}))["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, **here}
        async with self.session.post(self.home + "/auth/token", data=form) as answer:
            self.token = (await answer.json())["access_token"]
        self.headers = {"Authorization": f"Bearer {self.token}"}

    async def add(self, host: str, port: int) -> dict:
        flow = await self.ask(FLOWS, {"handler": "wyoming"})
        found = await self.ask(f"{FLOWS}/{flow['flow_id']}", {"host": host, "port": port})
        if found["type"] == "create_entry":
            self.entry = found["result"]["entry_id"]
        return {key: found.get(key) for key in ("type", "title", "errors")}

    async def entry_state(self) -> str:
        entries = await self.ask(f"{ENTRIES}?domain=wyoming")
        return next(each["state"] for each in entries if each["entry_id"] == self.entry)

    async def reload(self) -> dict:
        return await self.ask(f"{ENTRIES}/{self.entry}/reload", {})


class Socket:
    """The WebSocket interface."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket, self.number = socket, 0

    async def log_in(self, token: str) -> None:
        await self.socket.receive_json()
        await self.socket.send_json({"type": "auth", "access_token": token})
        assert (await self.socket.receive_json())["type"] == "auth_ok"

    async def ask(self, **command):
        self.number += 1
        await self.socket.send_json({"id": self.number, **command})
        while True:
            answer = await self.socket.receive_json()
            if answer["type"] == "result" and answer["id"] == self.number:
                if not answer["success"]:
                    raise RuntimeError(f"{command['type']}: {answer['error']}")
                return answer["result"]

    async def hear(self, pcm: bytes, word: str | None, pause_s: float, open_s: float) -> dict:
        """The events of a pipeline's wake-word stage, by type."""
        pipeline = await self.ask(
            type="assist_pipeline/pipeline/create",
            name=f"test {self.number}",
            wake_word_id=word,
            **PIPELINE,
        )
        await self.ask(
            type="assist_pipeline/run",
            pipeline=pipeline["id"],
            start_stage="wake_word",
            end_stage="wake_word",
            input={"sample_rate": 16_000, "timeout": 120},
        )
        events, sending = {}, None
        while True:
            event = (await self.socket.receive_json())["event"]
            events.setdefault(event["type"], []).append(event["data"])
            if event["type"] == "run-start":
                number = event["data"]["runner_data"]["stt_binary_handler_id"]
                sending = asyncio.create_task(self.send(number, pcm, pause_s, open_s))
            if event["type"] == "run-end":
                sending.cancel()
                return events

    async def send(self, number: int, pcm: bytes, pause_s: float, open_s: float) -> None:
        """Hand a sound over as a microphone does, which hears on when the word has been said.

        At the end of its audio Home Assistant waits for no answer that is still on its way.
        """
        for at in range(0, len(pcm), CHUNK_BYTES):
            await self.socket.send_bytes(bytes([number]) + pcm[at : at + CHUNK_BYTES])
            await asyncio.sleep(pause_s)
        for _ in range(round(open_s / CHUNK_S)):
            await self.socket.send_bytes(bytes([number]) + bytes(CHUNK_BYTES))
            await asyncio.sleep(CHUNK_S)
        await self.socket.send_bytes(bytes([number]))


async def work(client: Client, job: str, wanted: dict):
    """Do one job."""
    if job == "add":
        return await client.add(**wanted)
    if job == "entry":
        return await client.entry_state()
    if job == "reload":
        return await client.reload()
    async with client.session.ws_connect(client.home + "/api/websocket") as opened:
        socket = Socket(opened)
        await socket.log_in(client.token)
        if job == "service":
            return (await socket.ask(type="wyoming/info"))["info"][client.entry]
        if job == "words":
            return (await socket.ask(type="wake_word/info", entity_id=ENTITY))["wake_words"]
        return await socket.hear(Path(wanted.pop("pcm")).read_bytes(), **wanted)


async def main() -> None:
    async with aiohttp.ClientSession() as session:
        client = Client(session, sys.argv[1])
        await client.move_in()
        while line := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(line)
            try:
                answer = {"answer": await work(client, wanted.pop("job"), wanted)}
            except RuntimeError as error:
                answer = {"refused": str(error)}
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
