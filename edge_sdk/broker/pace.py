"""How patient a connection is: when it asks, waits, gives up and comes back. Pure.

Coming back uses exponential backoff with *full jitter*: a delay drawn evenly between nothing and a
ceiling that doubles. When a broker restarts, ten thousand devices notice in the same millisecond;
drawing from the whole range spreads them best (Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits in time.

    Attributes:
        keepalive_s: silence after which the broker is asked whether it is there; after as much
            again without a byte from it, the connection is given up.
        open_timeout_s: for reaching the broker, TLS, and its answer to each question at the start.
        close_timeout_s: for saying goodbye.
        retry_s, longest_retry_s: first and highest ceiling of the delay before the next attempt.
        refused_retry_s, longest_refused_retry_s: the same after a refusal, which a person has to
            mend.
        settled_s: how long a connection must have held for the next delay to start small again.
    """

    keepalive_s: int = 30
    open_timeout_s: float = 15.0
    close_timeout_s: float = 2.0
    retry_s: float = 1.0
    longest_retry_s: float = 60.0
    refused_retry_s: float = 5.0
    longest_refused_retry_s: float = 300.0
    settled_s: float = 10.0

    def delay_s(self, failures: int, *, refused: bool, random: Callable[[], float]) -> float:
        """Seconds to wait before the next attempt.

        Args:
            failures: attempts in a row that came to nothing, 1 or more.
            refused: whether the broker answered, and said no.
            random: draws from [0, 1).
        """
        first, longest = (
            (self.refused_retry_s, self.longest_refused_retry_s)
            if refused
            else (self.retry_s, self.longest_retry_s)
        )
        doublings = min(failures - 1, 32)
        return random() * min(longest, first * 2.0**doublings)
