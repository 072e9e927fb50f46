"""``edge demo text``: a keyboard with suggestions, in a terminal or typed by a patient typist."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from edge_sdk.demos.assets import asset, example
from edge_sdk.errors import UsageError
from edge_sdk.keyboard.composer import BACKSPACE, ENTER, TAKING, Composer
from edge_sdk.keyboard.keyboard import Keyboard
from edge_sdk.keyboard.letters import Letters
from edge_sdk.keyboard.personal import Personal
from edge_sdk.keyboard.typist import plain, type_text
from edge_sdk.keyboard.words import read_words
from edge_sdk.text import printable
from edge_sdk.toml_file import read_text

_NOVEL_BEGINS = "  Alice was beginning"
_ENDS = ("\x04", "\x03")
"""Ctrl-D and Ctrl-C."""
_CLEAR = "\r\x1b[J"
_LABELS = ("Tab", *TAKING[1:])
_SENT = {
    **{f"O{letter}".encode(): key for letter, key in zip("PQRS", TAKING, strict=False)},
    **{f"[[{letter}".encode(): key for letter, key in zip("ABCDE", TAKING, strict=False)},
    **{f"[{number}~".encode(): key for number, key in zip(range(11, 16), TAKING, strict=False)},
    **{f"{digit}".encode(): key for digit, key in zip(range(1, 10), TAKING, strict=False)},
}
"""What terminals send after an escape for a function key (VT100 and xterm, Linux's console, VT220),
and for Alt with a digit, which does the same where a terminal keeps its function keys to itself."""


@contextmanager
def open_keyboard(models: Path | None, kept: Path | None, *, network: bool) -> Iterator[Keyboard]:
    """A keyboard of the models in a folder; what it learns is saved at the end.

    Args:
        models: the folder; None makes them, once, in the examples' cache.
        kept: the personal dictionary's file; None forgets at the end.
        network: whether the network of letters is asked too.
    """
    folder = models or Path(example("examples.predictive_text.make").strip())
    personal = Personal() if kept is None else Personal.open(kept)
    with ExitStack() as stack:
        letters = None
        if network:
            opened = Letters(folder / "letters.edge", folder / "alphabet.json")
            letters = stack.enter_context(opened)
        if kept is not None:
            stack.callback(personal.save, kept)
        yield Keyboard(read_words(folder / "words.npz"), letters, personal)


def read_page(source: str | None) -> str:
    """A text to type: a file's, a pipe's for ``-``, a novel's beginning for None."""
    if source is None:
        novel = Path(asset("alice")).read_text(encoding="utf-8")
        return plain(novel[novel.index(_NOVEL_BEGINS) :])
    found = plain(_piped() if source == "-" else read_text(Path(source)))
    if not found:
        name = "The pipe" if source == "-" else source
        raise UsageError(f"{name} holds no text to type.", "Give a file with words in it.")
    return found


def _piped() -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError("The pipe is not UTF-8 text.", "Is it another kind of file?") from error


def type_page(keyboard: Keyboard, page: str, letters: int) -> dict[str, Any]:
    """Have a text typed; answers what ``--json`` prints."""
    if letters < 1:
        raise UsageError(f"{letters} letters are nothing to type.", "--letters 4000")
    typed = type_text(keyboard, page[:letters])
    return {
        "letters": typed.letters,
        "keys": typed.keys,
        "saved": round(typed.saved, 4),
        "latency_ms": {"p50": round(typed.p50_ms, 2), "p99": round(typed.p99_ms, 2)},
    }


def described(found: dict[str, Any]) -> str:
    """The same in a line for a person."""
    took = found["latency_ms"]
    saved = "none" if found["saved"] < 0 else f"{found['saved']:.1%}"
    return (
        f"{found['keys']} keys for {found['letters']} letters: {saved} saved; "
        f"suggestions took {took['p50']:.1f} ms, {took['p99']:.1f} ms at p99"
    )


def compose(keyboard: Keyboard) -> dict[str, Any]:
    """Let a person type at the terminal, until Ctrl-D or Ctrl-C."""
    composer = Composer(keyboard)
    took: list[float] = [0.0]
    print(
        "Type. Tab, F2 and F3 (or Alt-1, -2, -3) take a suggestion; Ctrl-D ends.", file=sys.stderr
    )
    with _keys_as_they_come(sys.stdin.fileno()), _line_ended(composer):
        _show(composer)
        while (key := _next_key(sys.stdin.fileno())) not in _ENDS:
            began = time.perf_counter()
            line = composer.press(key)
            took.append((time.perf_counter() - began) * 1000)
            if line is not None:
                sys.stderr.write(f"{_CLEAR}{printable(line)}\r\n")
            _show(composer)
    letters = composer.letters + len(composer.text.rstrip())
    took.sort()
    return {
        "letters": letters,
        "keys": composer.keys,
        "saved": round(1 - composer.keys / letters, 4) if letters else 0.0,
        "latency_ms": {
            "p50": round(took[len(took) // 2], 2),
            "p99": round(took[int(len(took) * 0.99)], 2),
        },
    }


def _show(composer: Composer) -> None:
    """The line, what is suggested below it, and the cursor where the next letter goes."""
    width = os.get_terminal_size(sys.stderr.fileno()).columns if sys.stderr.isatty() else 0
    width = width or 80  # a serial line does not say, and 0 stands for that
    shown = printable(composer.text)[-width:]
    while shown and _columns(shown) > width - 2:
        shown = shown[1:]
    sys.stderr.write(f"{_CLEAR}{shown}\r\n{_offered(composer.suggestions, width)}\x1b[1A\r")
    if shown:
        sys.stderr.write(f"\x1b[{_columns(shown)}C")
    sys.stderr.flush()


def _offered(suggestions: Sequence[str], width: int) -> str:
    """The words that may be taken, each behind its key, which is fainter; as many as fit a line."""
    offered, used = "", 0
    for key, word in zip(_LABELS, map(printable, suggestions), strict=False):
        used += _columns(f"{key} {word}   ")
        if used > width:
            break
        offered += f"\x1b[2m{key} \x1b[22m{word}   "
    return offered


def _columns(shown: str) -> int:
    """How many of the terminal's columns it takes: an accent none, a Chinese letter two."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in shown
    )


@contextmanager
def _line_ended(composer: Composer) -> Iterator[None]:
    """However it ends, what comes after it does not stand in the typed line."""
    try:
        yield
    finally:
        with suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"{_CLEAR}{printable(composer.text)}\r\n")
            sys.stderr.flush()


@contextmanager
def _keys_as_they_come(terminal: int) -> Iterator[None]:
    """Every key at once and unseen, Ctrl-C too; the terminal is as it was afterwards."""
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    while_typing = termios.tcgetattr(terminal)
    while_typing[6][termios.VINTR] = bytes([os.fpathconf(terminal, "PC_VDISABLE")])
    termios.tcsetattr(terminal, termios.TCSADRAIN, while_typing)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _next_key(terminal: int) -> str:
    """One key; Ctrl-D where input has ended. Arrow keys and their like do nothing."""
    first = os.read(terminal, 1)
    if not first:
        return _ENDS[0]
    if first == b"\x1b":
        return _SENT.get(_after_escape(terminal), "")
    more = 3 if first >= b"\xf0" else 2 if first >= b"\xe0" else 1 if first >= b"\xc0" else 0
    key = (first + b"".join(os.read(terminal, 1) for _ in range(more))).decode(errors="replace")
    return {"\r": ENTER, "\n": ENTER, "\b": BACKSPACE}.get(key, key)


def _after_escape(terminal: int) -> bytes:
    """What follows an escape: a key with Alt; or a bracket or an O, and all up to a letter."""
    sent = b""
    while select.select([terminal], [], [], 0.02)[0] and (byte := os.read(terminal, 1)):
        sent += byte
        if sent not in (b"[", b"O", b"[[") and (sent[:1] not in b"[O" or b"@" <= byte <= b"~"):
            break
    return sent
