"""Errors of a pipeline name the place where they happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edge_sdk.errors import EdgeError, UsageError
from edge_sdk.pipeline.frames import Frame


def message_of(error: BaseException) -> str:
    """Without its hint: a report tells what happened, and the run goes on."""
    return error.message if isinstance(error, EdgeError) else str(error)


def placed(
    error: BaseException, name: str, frame: Frame | None = None, *, may_be_skipped: bool = False
) -> BaseException:
    """The error with its place in front; what is none of ours becomes one of ours, once."""
    if getattr(error, "_placed", False) or not isinstance(error, Exception):
        return error
    where = f"{name!r}" if frame is None else f"{name!r}, at frame {frame.index} of {frame.source}"
    ours: EdgeError
    if isinstance(error, EdgeError):
        ours = error
        ours.message = f"In {where}: {error.message}"
    else:
        hint = f"Mend {name!r}: its traceback is this error's cause."
        if may_be_skipped:
            hint = "Mend that stage, or skip what it fails on: Pipeline(…, on_error='skip')"
        ours = UsageError(f"In {where}: {type(error).__name__}: {error}.", hint)
        ours.__cause__ = error
    ours._placed = True  # type: ignore[attr-defined]
    return ours


@contextmanager
def placing(name: str) -> Iterator[None]:
    """What is raised inside has its place in front."""
    try:
        yield
    except Exception as error:
        raise placed(error, name) from error


class Placed:
    """A context manager that is a part of a pipeline: its errors name it."""

    def __init__(self, part: Any) -> None:
        self._part = part

    def __enter__(self) -> None:
        with placing(self._part.name):
            self._part.__enter__()

    def __exit__(self, *how: Any) -> bool:
        with placing(self._part.name):
            return bool(self._part.__exit__(*how))
