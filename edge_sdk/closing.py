"""What holds something until it is closed: by hand, or at the end of a ``with``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

Held = TypeVar("Held", bound="Closing")


class Closing(ABC):
    """Has a ``close``; a ``with`` calls it, whatever happened inside."""

    @abstractmethod
    def close(self) -> None:
        """Give back what is held. Closing twice is closing once."""

    def __enter__(self: Held) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
