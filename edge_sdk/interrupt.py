"""Interrupts that are not lost: Ctrl-C stays noted where somebody swallows the exception.

Foreign engines have bare ``except``s, and Python code called from C++ has nobody to raise to: a
``KeyboardInterrupt`` may end there. So whoever catches the signal notes it first, and long work
asks between its steps whether there was one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

_Item = TypeVar("_Item")

SIGNALS: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_noted: list[int] = []


def check() -> None:
    """Raises KeyboardInterrupt if there was an interrupt since ``interruptible`` began."""
    if _noted:
        raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, a kill or a lost terminal unwind, so that nothing stays half done.

    A signal that is ignored (``nohup``) or that the program handles itself is left alone, and so
    are all where this is not the main thread, which alone can catch any.
    """
    before: dict[int, Any] = {}
    _noted.clear()
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            try:
                before[number] = signal.signal(number, _interrupt)
            except ValueError:
                break
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _noted.clear()


@contextmanager
def until_interrupted(items: Iterable[_Item]) -> Iterator[Iterator[_Item]]:
    """What goes on for ever ends at an interrupt, and what was made of it so far counts.

    While the next item is waited for, the wait ends; while one is worked on, that is done first. A
    second interrupt ends it all the same. In another thread than the main one nothing is caught.
    """
    waiting = over = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal over
        if over:
            _interrupt(number, frame)
        over = True
        if waiting:
            raise KeyboardInterrupt

    def until_then() -> Iterator[_Item]:
        nonlocal waiting
        source = iter(items)
        while True:
            try:
                try:
                    waiting = True  # then ask: between the two an interrupt would be lost
                    if over:
                        return
                    item = next(source)
                finally:
                    waiting = False
            except (KeyboardInterrupt, StopIteration):
                return
            yield item

    before: dict[int, Any] = {}
    for number in SIGNALS:
        if signal.getsignal(number) in (_interrupt, signal.default_int_handler):
            try:
                before[number] = signal.signal(number, end)
            except ValueError:
                break
    try:
        yield until_then()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _noted.append(number)
    raise KeyboardInterrupt
