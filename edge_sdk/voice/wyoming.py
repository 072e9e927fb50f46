r"""Messages of the Wyoming protocol, by which Home Assistant talks to voice services.

A message is one line of JSON, then as many bytes as it says::

    {"type": "audio-chunk", "version": "1.5.2", "data_length": 36, "payload_length": 2048}\n
    {"rate": 16000, "width": 2, "channels": 1}<2048 bytes of PCM>

``data`` may stand in the line itself or, as here, after it; both are merged. Sizes are limited: a
stranger's line must not fill a device's memory.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from reprlib import repr as short
from typing import Any

from edge_sdk.spec.version import AGENT_VERSION
from edge_sdk.voice.published import AUTHOR, AUTHORS_PAGE, PUBLISHED

MAX_LINE_BYTES = 64 * 1024
MAX_DATA_BYTES = 256 * 1024
MAX_PAYLOAD_BYTES = 1024 * 1024
_NAME = "edgeloop"


class Malformed(Exception):
    """What came is no message; the connection cannot be gone on with."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        type: what it is: ``describe``, ``audio-chunk``, …
        data: its fields.
        payload: its bytes; PCM in an ``audio-chunk``.
    """

    type: str
    data: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encode(self) -> bytes:
        """As it goes over the wire."""
        data = json.dumps(self.data).encode()  # in ASCII: half a surrogate pair has no UTF-8
        head: dict[str, Any] = {"type": self.type, "version": AGENT_VERSION}
        if self.data:
            head["data_length"] = len(data)
        if self.payload:
            head["payload_length"] = len(self.payload)
        line = json.dumps(head).encode() + b"\n"
        return line + (data if self.data else b"") + self.payload


async def read_message(stream: asyncio.StreamReader) -> Message | None:
    """The next message; None where the other end has closed between two.

    Args:
        stream: made with ``limit=MAX_LINE_BYTES``.

    Raises:
        Malformed: what came is no message, is too large, or was cut off.
    """
    try:
        line = await stream.readline()
    except ValueError as error:
        raise Malformed(f"a line of more than {MAX_LINE_BYTES} bytes") from error
    if not line:
        return None
    try:
        head = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Malformed("a line that is not JSON") from error
    if not isinstance(head, dict) or not isinstance(head.get("type"), str):
        raise Malformed("a line without a type")
    data = {} if head.get("data") is None else head["data"]
    more = await _take(stream, head.get("data_length"), MAX_DATA_BYTES)
    if more:
        try:
            found = json.loads(more)
        except (ValueError, RecursionError) as error:
            raise Malformed("data that is not JSON") from error
        data = {**data, **found} if isinstance(data, dict) and isinstance(found, dict) else None
    if not isinstance(data, dict):
        raise Malformed("data that is no object")
    payload = await _take(stream, head.get("payload_length"), MAX_PAYLOAD_BYTES)
    return Message(head["type"], data, payload)


async def _take(stream: asyncio.StreamReader, length: Any, most: int) -> bytes:
    if length is None:
        return b""
    if type(length) is not int or not 0 <= length <= most:
        raise Malformed(f"a length of {short(length)}, where at most {most} bytes are taken")
    try:
        return await stream.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise Malformed(f"{len(error.partial)} of {length} bytes") from error


def info(wake_words: list[str]) -> Message:
    """What this service is and which words it knows: the answer to ``describe``.

    A phrase is written as its author does, "Okay Nabu": Home Assistant holds two of its ears that
    heard one person against each other by their phrases.
    """
    program = {
        "name": _NAME,
        "description": "Streaming wake words on this device",
        "attribution": {"name": _NAME, "url": ""},
        "installed": True,
        "version": AGENT_VERSION,
        "models": [_model(word) for word in wake_words],
    }
    empty: dict[str, Any] = {kind: [] for kind in ("asr", "tts", "handle", "intent", "mic", "snd")}
    return Message("info", {**empty, "wake": [program]})


def _model(word: str) -> dict[str, Any]:
    published = PUBLISHED.get(word)
    phrase = word.replace("_", " ").title()
    return {
        "name": word,
        "description": phrase,
        "phrase": phrase,
        "attribution": {"name": AUTHOR, "url": AUTHORS_PAGE}
        if published
        else {"name": "unknown", "url": ""},
        "installed": True,
        "version": None,  # a .tflite tells none
        "languages": list(published.languages) if published else [],
    }
