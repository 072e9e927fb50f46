"""When the fleet is told anew what an application is. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from edge_sdk.spec.deployment import AppState

PROBLEMS_EVERY_MS = 10_000
"""As often as a window, by default: a camera with a loose plug must not report every second."""


class Telling:
    """What was told last. A change is told at once, problems that come and go now and then."""

    def __init__(self, state: AppState) -> None:
        self._told = state
        self._quiet_until_ms = 0

    def told(self, state: AppState) -> None:
        """This was told, whether it was due or not."""
        self._told = state

    def is_due(self, state: AppState, now_ms: int) -> bool:
        """Whether to tell this now; if so, it counts as told.

        Args:
            state: what the application is.
            now_ms: by a clock that never goes back.
        """
        if state == self._told:
            return False
        if state.problems != self._told.problems:
            problems_alone = state == replace(self._told, problems=state.problems)
            if problems_alone and now_ms < self._quiet_until_ms:
                return False
            self._quiet_until_ms = now_ms + PROBLEMS_EVERY_MS
        self._told = state
        return True
