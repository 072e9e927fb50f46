"""A stage in a process of its own.

Threads are enough as long as the work is OpenCV's or an engine's, which let go of Python's lock. A
stage that computes in Python itself holds it, and all the others wait. In a process of its own it
holds nobody back; a stage that crashes takes nothing with it, and one that hangs can be ended. The
price is that every frame is copied over and what has changed of it back: about two milliseconds
at 1280 x 720 (``benchmarks/stage_process.py``).
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import spawn
from pathlib import Path
from typing import Any, Literal

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.pipeline import stage_process
from edge_sdk.pipeline.failures import placed
from edge_sdk.pipeline.frames import Frame
from edge_sdk.pipeline.parts import Refused, Running
from edge_sdk.pipeline.stage_child import StageChild
from edge_sdk.pipeline.stage_words import Failed, Made, Make, Work, restored


class OwnProcess:
    """A stage that another process makes and works with; started with the run, ended with it.

        OwnProcess(Motion, 0.05, name="motion")

    A frame goes over with all its answers; they must be such as can be pickled. What the stage
    remembers, it remembers there, and forgets when it is restarted.

    Args:
        make: what makes the stage, called with ``args`` in the other process: a class, or a
            function at the top of a module, or either as ``"module:name"``. Where it is in the
            program itself, that needs its ``if __name__ == "__main__":``.
        args: must be such as can be pickled.
        name: of this stage, for errors and metrics.
        most: as of ``Stage``: up to so many waiting frames at once, if what is made takes them.
        on_death: what happens if the process dies: ``stop`` ends the run, ``restart`` drops the
            frame, counts it, and goes on with a new process.
        most_restarts: so many in a row without a single frame done.
        limit_s: a frame that takes longer is a death as well; None for no limit.
        python: another interpreter, which must have edgeloop, or find it in ``paths``.
        paths: where the other interpreter imports from, before its own places.

    Raises:
        UsageError: it cannot be made in another process.
    """

    def __init__(
        self,
        make: Callable[..., Any] | str,
        *args: Any,
        name: str,
        most: int = 1,
        on_death: Literal["stop", "restart"] = "stop",
        most_restarts: int = 3,
        limit_s: float | None = None,
        python: Path | str | None = None,
        paths: Sequence[Path | str] = (),
    ) -> None:
        self.name = name
        self.most = most
        self._make = _wish(make, args, foreign=python is not None)
        self._on_death, self._most_restarts = on_death, most_restarts
        self._limit_s = limit_s
        self._python = str(python or sys.executable)
        self._paths = [str(path) for path in paths] if python else [*map(str, paths), *sys.path]
        self._child: StageChild | None = None
        self._deaths = 0
        self._running: Running | None = None

    @property
    def pid(self) -> int | None:
        """Of the process; None if there is none."""
        return None if self._child is None else self._child.pid

    def __enter__(self) -> OwnProcess:
        self._child = self._start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def begin(self, running: Running) -> None:
        """Called by the pipeline: waits until the stage is made. Raises what making it raised."""
        self._running = running
        try:
            self._ready()
        except _Death as death:
            raise self._unborn(death) from None
        except Exception as error:  # noqa: BLE001 - whatever its making raised
            raise placed(error, self.name) from error.__cause__

    def process(self, frame: Frame) -> Frame:
        """The frame as the stage gives it back.

        Raises:
            Refused: by the stage; or the process died at it, and there is a new one.
            UnavailableError: the process died.
        """
        (answer,) = self._ask([frame])
        if isinstance(answer, Refused):
            raise answer
        return answer

    def process_many(self, frames: Sequence[Frame]) -> list[Frame | Refused]:
        """The frames as the stage gives them back. Raises as ``process``."""
        return self._ask(list(frames))

    def _start(self) -> StageChild:
        if stage_process.starting.is_set():
            raise UsageError(
                f"The program starts its pipeline while {self.name!r} imports it.",
                'Put what it does under  if __name__ == "__main__":',
            )
        child = StageChild(self._python, self._paths)
        with suppress(OSError):  # it has ended already: whoever listens next, is told
            child.line.send(self._make)
        return child

    def _ready(self) -> None:
        made = self._hear()
        if isinstance(made, Failed):
            raise _raised(made)
        if not isinstance(made, Made):
            raise UnavailableError(f"{made!r} is no word of a stage's process.")

    def _ask(self, frames: list[Frame]) -> list[Frame | Refused]:
        try:
            answer = self._hear(Work(frames))
        except _Death as death:
            self._deaths += 1
            if self._on_death == "stop" or self._deaths > self._most_restarts:
                raise self._dead(death) from None
            self._begin_anew(death, frames[0])
            raise Refused("its process died") from None
        self._deaths = 0
        self._pass_on(answer.notes)
        if isinstance(answer, Failed):
            raise _raised(answer)
        return [restored(*each) for each in zip(frames, answer.frames, strict=True)]

    def _hear(self, work: Work | None = None) -> Any:
        """The next word of the child, to what it is told. Raises _Death if it has none."""
        child = self._child
        if child is None:
            raise UsageError(f"{self.name!r} is used outside of its run.", "with OwnProcess(…):")
        try:
            if work is not None:
                child.line.limit(self._limit_s)
                child.line.send(work)
            return child.line.receive()
        except TimeoutError:
            self._child = None
            child.end(patience_s=0.0)
            raise _Death(f"it took longer than {self._limit_s:g} s, and was ended") from None
        except (EOFError, OSError):
            self._child = None
            raise _Death(child.end()) from None

    def _begin_anew(self, death: _Death, frame: Frame) -> None:
        if self._running is not None:
            self._running.metrics.warn(
                f"The process of {self.name!r} died at frame {frame.index} of {frame.source}: "
                f"{death}; another one was begun."
            )
        self._child = self._start()
        try:
            self._ready()
        except _Death as again:
            raise self._unborn(again) from None

    def _unborn(self, death: _Death) -> UnavailableError:
        return UnavailableError(
            f"Its process died before its stage was made: {death}.",
            f"{self._python} -c 'import edge_sdk.pipeline'   # whether it can be imported there",
        )

    def _dead(self, death: _Death) -> UnavailableError:
        times = f" {self._deaths} times in a row" if self._deaths > 1 else ""
        return UnavailableError(
            f"Its process died{times}: {death}.",
            "OwnProcess(…, on_death='restart')   # leaves out the frame and goes on"
            if self._on_death == "stop"
            else "dmesg | tail   # whether the memory was full",
        )

    def _pass_on(self, notes: Sequence[tuple[str, tuple[Any, ...]]]) -> None:
        running = self._running
        if running is not None:
            for name, args in notes:
                getattr(running if name == "stop" else running.metrics, name)(*args)


class _Death(Exception):
    """The child is no more; says how it ended."""


class StageTrace(Exception):
    """Where it happened in the other process; the cause of what was raised here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def _raised(failed: Failed) -> BaseException:
    """The error of the other process, to be raised here."""
    error: BaseException | None = None
    if failed.error is not None:
        with suppress(Exception):  # its class may be of a module that is not here
            error = pickle.loads(failed.error)
    if error is None or not isinstance(error, Exception):
        error = UsageError(f"{failed.kind}: {failed.text}.")
    error.__cause__ = StageTrace(failed.trace)
    return error


def _wish(make: Callable[..., Any] | str, args: tuple[Any, ...], *, foreign: bool) -> Make:
    """What the child is told."""
    if isinstance(make, str):
        module, _, function = make.partition(":")
    else:
        module, function = make.__module__, getattr(make, "__qualname__", "")
    if not module or not function or "<" in function:
        raise UsageError(
            f"{make!r} cannot be found by another process.",
            "A class, or a function at the top of a module; or 'module:name'.",
        )
    try:
        pickle.dumps(args)
    except Exception as error:
        raise UsageError(
            f"What {function} is called with cannot go to another process: {error}.",
            "Give it what a session is loaded from, and load it there.",
        ) from error
    main = None
    if module == "__main__":
        if foreign:
            raise UsageError(
                f"{function} is in the program itself, which another Python does not import.",
                "Put it into a module: OwnProcess('module:name', …)",
            )
        ours: dict[str, Any] = dict(spawn.get_preparation_data(function))
        main = {key: ours[key] for key in ours if key.startswith(("init_main", "sys_argv"))}
    return Make(module, function, args, main)
