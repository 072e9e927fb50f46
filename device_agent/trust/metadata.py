"""Metadata over the wire: python-tuf asks in a thread, the answers come through the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future

from device_agent.trust.download import Fetch, check_answer
from edge_sdk.errors import FleetError
from edge_sdk.spec.wire import CHUNK_BYTES, Chunk
from edge_sdk.trust.chain import Fetcher


class WireFetcher(Fetcher):
    """Reads ``metadata/…`` from the fleet, a chunk at a time. Called in a thread.

    Raises what ``fetch`` raises, and ArtifactError for an answer to another question.
    """

    def __init__(self, fetch: Fetch, loop: asyncio.AbstractEventLoop) -> None:
        self._fetch_chunk = fetch
        self._loop = loop
        self._stopped = False
        self._pending: Future[Chunk] | None = None

    def stop(self) -> None:
        """Make the thread end: called in the loop, where nothing more is awaited."""
        self._stopped = True
        if self._pending is not None:
            self._pending.cancel()

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of ``path``, checked to be answers, not yet to be true."""
        offset, size = 0, 1
        while offset < size:
            self._pending = asyncio.run_coroutine_threadsafe(self._ask(path, offset), self._loop)
            chunk = self._pending.result()
            if chunk.missing:
                raise LookupError(path)
            check_answer(chunk, path, offset, CHUNK_BYTES)
            yield chunk.data
            size = chunk.size
            offset += len(chunk.data)

    async def _ask(self, path: str, offset: int) -> Chunk:
        if self._stopped:
            raise FleetError(f"Nobody waits for {path} any more.")
        return await self._fetch_chunk(path, offset, CHUNK_BYTES)
