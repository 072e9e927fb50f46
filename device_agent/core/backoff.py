"""How long to wait before trying again: exponential, half of it by chance. Pure.

The half that is certain keeps a worker that dies at once from being started in a hot loop; the half
by chance keeps a thousand devices that lost the same fleet from returning together (Brooker,
"Exponential Backoff And Jitter", 2015: equal jitter).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Limits of a wait.

    Attributes:
        first_s: the longest first wait.
        longest_s: the longest wait ever.
    """

    first_s: float
    longest_s: float

    def delay_s(self, failures: int, random: Callable[[], float]) -> float:
        """Seconds to wait after ``failures`` (1 or more) in a row; ``random`` draws [0, 1)."""
        ceiling = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return ceiling * (0.5 + 0.5 * random())
