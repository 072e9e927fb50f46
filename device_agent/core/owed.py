"""What must be told although the window that said it is lost. Pure.

A disk that is full takes neither records for audit nor messages for the fleet. The windows of that
time are lost, which costs numbers; but somebody relies on the trail, and has to hear how much of it
is missing. So that count is kept until there is room, in one window for each model with nothing
else in it.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from edge_sdk.spec.sketch import Window


class Owed:
    """Answers without a record, of windows that were lost."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, str, str], Window] = {}

    def lost(self, windows: Iterable[Window]) -> None:
        """These could not be kept."""
        for window in windows:
            if window.unrecorded:
                key = (window.app, window.artifact, window.role)
                before = self._windows.get(key)
                self._windows[key] = _added(before, window) if before else _alone(window)

    def take(self) -> tuple[Window, ...]:
        """All that is owed, which is not owed any more."""
        windows = tuple(self._windows.values())
        self._windows.clear()
        return windows


def _alone(window: Window) -> Window:
    return Window(
        app=window.app,
        artifact=window.artifact,
        role=window.role,
        started_ms=window.started_ms,
        ended_ms=window.ended_ms,
        boot=window.boot,
        monotonic_ms=window.monotonic_ms,
        unrecorded=window.unrecorded,
    )


def _added(before: Window, window: Window) -> Window:
    return replace(
        before,
        ended_ms=window.ended_ms,
        monotonic_ms=window.monotonic_ms,
        unrecorded=before.unrecorded + window.unrecorded,
    )
