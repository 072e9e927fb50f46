"""A bounded queue between two threads of a pipeline, and what it does when it is full.

``block``   whoever puts waits: back-pressure, nothing is lost; right for files
``latest``  all that waits is overtaken by the new frame: the least age; right for live pictures
``oldest``  the frame that has waited longest makes room: short bursts survive

What is thrown away is handed to ``on_drop``, so that every drop is counted.

Where several streams share a channel (``stream_of``), each has its own policy, and the capacity for
itself: a fast camera must not starve a slow one, and a file beside a camera loses nothing.
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
        policy_of: what happens to a thing when the queue is full.
        on_drop: is given what is thrown away.
        stream_of: which stream a thing is of.
    """

    def __init__(
        self,
        clock: Clock,
        capacity: int = 1,
        policy_of: Callable[[Thing], Policy] = lambda _: "block",
        on_drop: Callable[[Thing], None] = lambda _: None,
        stream_of: Callable[[Thing], Hashable] = lambda _: None,
    ) -> None:
        self.capacity = capacity
        self._policy_of = policy_of
        self._on_drop = on_drop
        self._stream_of = stream_of
        self._things: deque[Thing] = deque()
        self._changed = clock.condition()
        self._ended = False

    def __len__(self) -> int:
        return len(self._things)

    def put(self, thing: Thing) -> bool:
        """Add a thing; False if nobody will ever take it, and then it was not added."""
        policy = self._policy_of(thing)
        dropped: list[Thing] = []
        with self._changed:
            while policy == "block" and not self._ended and self._is_full(thing):
                self._changed.wait()
            if self._ended:  # whoever takes may have left
                return False
            if not self._is_full(thing):
                self._things.append(thing)
            elif policy == "latest":
                dropped = self._overtake(thing)
            else:
                dropped = self._push_out(thing)
            self._changed.notify_all()
        for each in dropped:
            self._on_drop(each)
        return True

    def _is_full(self, thing: Thing) -> bool:
        """Whether there is no room for one more of its stream."""
        if len(self._things) < self.capacity:
            return False
        return len(self._places(thing)) >= self.capacity

    def _places(self, thing: Thing) -> list[int]:
        """Where the others of its stream are."""
        stream = self._stream_of(thing)
        return [at for at, each in enumerate(self._things) if self._stream_of(each) == stream]

    def _overtake(self, thing: Thing) -> list[Thing]:
        """Add a thing instead of all that waits of its stream; answers those.

        It takes the place of the first of them: at the end of the queue, a stream that is overtaken
        again and again would never be served.
        """
        places = self._places(thing)
        overtaken = [self._things[at] for at in places]
        self._things[places[0]] = thing
        for at in reversed(places[1:]):
            del self._things[at]
        return overtaken

    def _push_out(self, thing: Thing) -> list[Thing]:
        """Add a thing instead of the one of its stream that has waited longest; answers that."""
        first = self._places(thing)[0]
        pushed_out = self._things[first]
        del self._things[first]
        self._things.append(thing)
        return [pushed_out]

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
