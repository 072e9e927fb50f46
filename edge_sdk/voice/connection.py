"""A client's connection, from the service's side: dead ones are noticed, every end is a short one.

A client that is connected and silent is a normal one: Home Assistant waits so for days. One whose
machine has lost its power looks the same, so the system is told to ask after it.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from edge_sdk.timeouts import timeout
from edge_sdk.voice.wyoming import Message

GOODBYE_S = 2.0
"""So long a client may take to read what it is told last, and to hang up."""
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_UNREAD_MS = 120_000
_PIECE_BYTES = 64 * 1024


def name_of(writer: asyncio.StreamWriter) -> str:
    """Where the client is, as a person writes it."""
    peer = writer.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if peer else "that has gone already"


def keep_alive(writer: asyncio.StreamWriter) -> None:
    """Have the system close the connection where the peer answers no longer, within two minutes."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    limits = {**_KEEP_ALIVE, "TCP_USER_TIMEOUT": _UNREAD_MS}
    for name, value in limits.items():
        if hasattr(socket, name):  # macOS has not all of them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def hang_up(writer: asyncio.StreamWriter) -> None:
    """Close; what a client does not read in time is thrown away."""
    writer.close()
    try:
        async with timeout(GOODBYE_S):
            await writer.wait_closed()
    except (OSError, asyncio.TimeoutError, asyncio.CancelledError):
        writer.transport.abort()


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, why: str) -> None:
    """Tell a client why it is not served any longer; it has a moment to read that.

    What it still sends is taken and thrown away: a connection closed with unread bytes is a reset,
    which overtakes the answer.
    """
    with suppress(OSError, asyncio.TimeoutError):
        async with timeout(GOODBYE_S):
            writer.write(Message("error", {"text": why}).encode())
            writer.write_eof()
            while await reader.read(_PIECE_BYTES):
                pass
