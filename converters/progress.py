"""Progress on stderr: a moving line for a person at a terminal, plain lines for a log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TextIO

from converters.steps import OnStep


@contextmanager
def progress(stream: TextIO | None) -> Iterator[OnStep]:
    """Yields what ``convert`` wants for ``on_step``.

    The lines go to a copy of the stream's descriptor: engines' chatter is kept off the original one
    while they work. A program started with the stream closed has None, and nobody to tell.
    """
    if stream is None:
        yield lambda *_: None
        return
    with os.fdopen(os.dup(stream.fileno()), "w", encoding="utf-8") as own:
        if own.isatty() and find_spec("rich"):
            yield from _moving(own)
        else:
            yield from _plain(own)


def _plain(stream: TextIO) -> Iterator[OnStep]:
    def on_step(step: str, done: int, total: int) -> None:
        if done == 0:
            line = f"{step} on {total} samples …\n" if total else f"{step} …\n"
            with suppress(OSError):  # nobody reads it, or the log's disk is full: no reason to stop
                os.write(stream.fileno(), line.encode())

    yield on_step


def _moving(stream: TextIO) -> Iterator[OnStep]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=stream)) as bars:
        current: dict[str, int] = {}

        def on_step(step: str, done: int, total: int) -> None:
            if step not in current:
                finish()
                current[step] = int(bars.add_task(step, total=total or None, count=""))
            count = f"{done}/{total}" if total else ""
            bars.update(bars.task_ids[-1], completed=done, count=count)

        def finish() -> None:
            if bars.tasks:
                last = bars.tasks[-1]
                bars.update(last.id, total=last.total or 1, completed=last.total or 1)

        yield on_step
        finish()
