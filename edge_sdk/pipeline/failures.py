"""Errors of a pipeline name the place where they happened."""

from __future__ import annotations

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.pipeline.frames import Frame


def message_of(error: BaseException) -> str:
    """Without its hint: a report tells what happened, and the run goes on."""
    return error.message if isinstance(error, EdgeError) else str(error)


def placed(error: BaseException, name: str, frame: Frame | None = None) -> BaseException:
    """The error with its place in front; what is none of ours becomes one of ours, once."""
    if getattr(error, "_placed", False) or not isinstance(error, Exception):
        return error
    where = f"{name!r}" if frame is None else f"{name!r}, at frame {frame.index} of {frame.source}"
    ours: EdgeError
    if isinstance(error, EdgeError):
        ours = error
        ours.message = f"In {where}: {error.message}"
    else:
        ours = UsageError(
            f"In {where}: {type(error).__name__}: {error}.",
            "Mend that stage, or skip what it fails on: Pipeline(…, on_error='skip')",
        )
        ours.__cause__ = error
    ours._placed = True  # type: ignore[attr-defined]
    return ours
