"""A bounded queue between two threads of a pipeline, and what it does when it is full.

``block``   whoever puts waits: back-pressure, nothing is lost; right for files
``latest``  all that waits is overtaken by the new frame: the least age; right for live pictures
``oldest``  the frame that has waited longest makes room: short bursts survive

What is thrown away is handed to ``on_drop``, so that every drop is counted.

Where several streams share a channel, ``latest`` overtakes within a stream only (``stream_of``): a
fast camera must not starve a slow one. The capacity then is each stream's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, Literal, TypeVar

from edge_sdk.pipeline.clock import Clock

Policy = Literal["block", "latest", "oldest"]
Thing = TypeVar("Thing")


class Channel(Generic[Thing]):
    """The queue.

    Args:
        clock: for waiting.
        capacity: how many may wait in it.
        policy: what happens when it is full.
        on_drop: is given what is thrown away.
        stream_of: tells the streams apart that ``latest`` treats each on its own.
    """

    def __init__(
        self,
        clock: Clock,
        capacity: int = 1,
        policy: Policy = "block",
        on_drop: Callable[[Thing], None] = lambda _: None,
        stream_of: Callable[[Thing], Hashable] = lambda _: None,
    ) -> None:
        self.capacity = capacity
        self.policy = policy
        self._on_drop = on_drop
        self._stream_of = stream_of
        self._things: deque[Thing] = deque()
        self._changed = clock.condition()
        self._ended = False

    def __len__(self) -> int:
        return len(self._things)

    def put(self, thing: Thing) -> bool:
        """Add a thing; False if nobody will ever take it, and then it was not added."""
        dropped: list[Thing] = []
        with self._changed:
            while self.policy == "block" and len(self._things) >= self.capacity and not self._ended:
                self._changed.wait()
            if self._ended:  # whoever takes may have left
                return False
            if self.policy == "latest":
                dropped += self._overtake(thing)
            else:
                while self.policy == "oldest" and len(self._things) >= self.capacity:
                    dropped.append(self._things.popleft())
                self._things.append(thing)
            self._changed.notify_all()
        for each in dropped:
            self._on_drop(each)
        return True

    def _overtake(self, thing: Thing) -> list[Thing]:
        """Add a thing; if there is no room for one more of its stream, instead of all that waits.

        It then takes the place of the first of them: at the end of the queue, a stream that is
        overtaken again and again would never be served.
        """
        stream = self._stream_of(thing)
        places = [at for at, each in enumerate(self._things) if self._stream_of(each) == stream]
        if len(places) < self.capacity:
            self._things.append(thing)
            return []
        overtaken = [self._things[at] for at in places]
        self._things[places[0]] = thing
        for at in reversed(places[1:]):
            del self._things[at]
        return overtaken

    def take(self, most: int = 1) -> list[Thing]:
        """Wait for at least one thing and take at most so many; empty when there is no more."""
        with self._changed:
            while not self._things and not self._ended:
                self._changed.wait()
            taken = [self._things.popleft() for _ in range(min(most, len(self._things)))]
            # Who waits for room is woken once there is room for several: a change of threads for
            # each frame costs more than a small model.
            if len(self._things) <= self.capacity // 2:
                self._changed.notify_all()
        return taken

    def end(self) -> None:
        """Nothing more will be put; what waits can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def abandon(self) -> int:
        """Nothing will be taken any more; answers how many were left."""
        with self._changed:
            left = len(self._things)
            self._things.clear()
            self._ended = True
            self._changed.notify_all()
        return left
