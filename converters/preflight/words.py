"""What a preflight answers: per target a forecast, per obstacle what, where, and a way out.

converts        ``edge convert`` will make the float build
falls back      it will, and some operations will run, or be checked, by a lesser way
does not        it will refuse; the problems say why
"""

from __future__ import annotations

from typing import Literal

from edge_sdk.spec import Format, Signature, Word

Verdict = Literal["converts", "falls back", "does not", "unforeseen"]


class Problem(Word, frozen=True, kw_only=True):
    """One obstacle, or one operation that falls back.

    Attributes:
        operation: its type, as the source's framework calls it; empty where none is to blame.
        where: the nodes or layers that hold it, a few of them at most.
        count: how many there are.
        what: what is wrong with it, in a sentence.
        remedy: what to do about it, ideally an option to type.
    """

    operation: str
    what: str
    where: tuple[str, ...] = ()
    count: int = 0
    remedy: str = ""


class Forecast(Word, frozen=True, kw_only=True):
    """What will come of one target.

    Attributes:
        checked_by: what it is known from: the engine that was asked, and its version.
        operations: how many operations the target would have; 0 where it was not made.
        problems: why it does not, or what falls back.
        seconds: how long it took to find out, the engine's import left out.
    """

    format: Format
    verdict: Verdict
    checked_by: str = ""
    operations: int = 0
    problems: tuple[Problem, ...] = ()
    seconds: float = 0.0


class Preflight(Word, frozen=True, kw_only=True):
    """What ``edge preflight --json`` prints.

    Attributes:
        source, source_format: the model that was looked at.
        targets: one forecast for each format asked for.
        seconds: wall time by step: what was imported and loaded, and the looking itself.
        passed: whether every target that was asked for by name converts; where none was named,
            whether any does.
    """

    source: str
    source_format: str
    signature: Signature
    targets: tuple[Forecast, ...]
    seconds: dict[str, float]
    passed: bool
