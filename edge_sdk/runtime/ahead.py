"""Running ahead: a session's calls in a thread of their own, in order, and never too many.

An unbounded queue before a model that is slower than its source only turns slowness into memory;
so there is room for a few calls, and who comes when it is taken waits, or is told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from threading import BoundedSemaphore, get_ident

from edge_sdk.backends.base import Array
from edge_sdk.errors import UnavailableError, UsageError

Outputs = dict[str, Array]


class Ahead:
    """One thread that runs calls in their order.

    Args:
        run: what is called.
        room: how many calls may wait or run.
        name: of the model, for the thread's name.
    """

    def __init__(self, run: Callable[[Mapping[str, Array]], Outputs], room: int, name: str) -> None:
        self._run = run
        self._room = BoundedSemaphore(room)
        self._size = room
        self._ident = 0
        self._thread = ThreadPoolExecutor(
            1, thread_name_prefix=f"edgeloop {name}", initializer=self._begin
        )

    def submit(self, inputs: Mapping[str, Array], *, wait: bool) -> Future[Outputs]:
        """See ``Session.run_async``."""
        if not self._room.acquire(blocking=wait):
            raise UnavailableError(
                f"{self._size} calls are under way, which is all that are taken ahead.",
                "Wait for one of their futures, or drop this input.",
            )
        try:
            future = self._thread.submit(self._run, inputs)
        except RuntimeError:  # closed while we waited for room
            self._room.release()
            raise UsageError(
                "The session is closed.", "Load the model again: edge_sdk.load(…)"
            ) from None
        future.add_done_callback(lambda _: self._room.release())
        return future

    def close(self) -> None:
        """Cancel what waits, let what runs come to its end.

        A callback of a future runs in our own thread, when its call has come to its end.
        """
        self._thread.shutdown(wait=get_ident() != self._ident, cancel_futures=True)

    def _begin(self) -> None:
        self._ident = get_ident()
