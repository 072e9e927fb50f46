"""Metadata over the wire: python-tuf asks in a thread, the answers come through the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

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
        self._asking: asyncio.Task[Chunk] | None = None

    def stop(self) -> None:
        """Make the thread end soon; called in the loop, as ``_ask`` is, so that none is missed."""
        self._stopped = True
        if self._asking is not None:
            self._asking.cancel()

    def blocks(self, path: str) -> Iterator[bytes]:
        """The bytes of ``path``, checked to be answers, not yet to be true."""
        offset, size = 0, 1
        while offset < size:
            asked = self._ask(path, offset)
            chunk = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
            if chunk.missing:
                raise LookupError(path)
            check_answer(chunk, path, offset, CHUNK_BYTES)
            yield chunk.data
            size = chunk.size
            offset += len(chunk.data)

    async def _ask(self, path: str, offset: int) -> Chunk:
        if self._stopped:
            raise FleetError(f"Nobody waits for {path} any more.")
        self._asking = asyncio.current_task()
        try:
            return await self._fetch_chunk(path, offset, CHUNK_BYTES)
        finally:
            self._asking = None
