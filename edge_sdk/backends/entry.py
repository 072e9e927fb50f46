"""What signatures of a TFLite model answer alike: what is asked of one is asked of its model."""

from __future__ import annotations

from typing import Any

from edge_sdk.backends.base import LoadedModel
from edge_sdk.spec import Placement


class Entry(LoadedModel):
    """One signature; a model is the entry of its first subgraph, and overrides all of this.

    Args:
        home: the model.
    """

    def __init__(self, home: Any) -> None:
        self._home = home
        # Called, not entered: a ``with`` would cost as much again as taking and giving back.
        self._acquire, self._release = home.lock.acquire, home.lock.release

    @property
    def signatures(self) -> tuple[str, ...]:
        """See ``LoadedModel.signatures``."""
        found: tuple[str, ...] = self._home.signatures
        return found

    def placement(self) -> Placement:
        """See ``LoadedModel.placement``; told of the model's first subgraph."""
        found: Placement = self._home.placement()
        return found

    def entry(self, name: str) -> LoadedModel:
        """See ``LoadedModel.entry``."""
        found: LoadedModel = self._home.entry(name)
        return found

    def reset(self) -> None:
        """See ``LoadedModel.reset``."""
        self._home.reset()

    def close(self) -> None:
        """See ``LoadedModel.entry``: closed with the model that it belongs to."""
