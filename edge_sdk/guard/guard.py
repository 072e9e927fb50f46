"""A session behind a guard, for programs that are no pipeline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edge_sdk.backends.base import Array, numpy_dtype
from edge_sdk.errors import UsageError
from edge_sdk.guard.limits import check_fit
from edge_sdk.guard.looks import fault_of_picture
from edge_sdk.guard.pace import Pace
from edge_sdk.processing import dequantize
from edge_sdk.processing.picture import check_picture
from edge_sdk.spec.guard import GuardReport, InputLimits, check_limits

if TYPE_CHECKING:
    from edge_sdk.runtime import Session

DOES_NOT_FIT = "does not fit"
"""The reason of what the model does not take at all: another shape, another type, no picture."""


class RefusedInput(UsageError):
    """An input that the model was not asked about.

    Attributes:
        reason: in few words; the guard's report counts by it.
    """

    def __init__(self, reason: str, message: str = "", hint: str = "") -> None:
        super().__init__(message or f"The input was refused: {reason}.", hint)
        self.reason = reason


class RefusedRows(RefusedInput):
    """Rows of a batch that the model was not asked about. It has answered the others.

    Attributes:
        reasons: of every row that was refused.
        rows: the others, in order.
        outputs: what the model answered of those, as ``Session.run_batch`` gives it; empty if there
            are none.
    """

    def __init__(
        self, reasons: Mapping[int, str], rows: tuple[int, ...], outputs: dict[str, Array]
    ) -> None:
        told = [
            f"{reason} (row {_listed([row for row, why in reasons.items() if why == reason])})"
            for reason in dict.fromkeys(reasons.values())
        ]
        super().__init__(
            "; ".join(dict.fromkeys(reasons.values())),
            f"{len(reasons)} of {len(reasons) + len(rows)} rows were refused: {'; '.join(told)}.",
            "The answers to the others are in this error: rows, outputs.",
        )
        self.reasons = dict(reasons)
        self.rows = rows
        self.outputs = outputs


def _listed(rows: list[int], most: int = 5) -> str:
    return ", ".join(map(str, rows[:most])) + ", …" * (len(rows) > most)


class InputGuard:
    """Asks a session only about what keeps the limits, and counts the rest. Safe between threads.

    Args:
        session: stays the caller's to close. The guard that it has itself is not asked.
        limits: what an input must keep.
        clock: seconds, for the rate limit.

    Attributes:
        limits: the same.

    Raises:
        UsageError: limits that nothing can pass, or that do not fit the model.
    """

    def __init__(
        self,
        session: Session,
        limits: InputLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self.limits = check_limits(limits)
        pictures = session.processing.preprocess is not None
        check_fit(limits, session.signature, pictures=pictures)
        declared = {tensor.name: tensor for tensor in session.signature.inputs}
        self._quantized = {
            tensor.name: tensor
            for tensor in session.engine_signature.inputs
            if tensor.quantization is not None and tensor.dtype != declared[tensor.name].dtype
        }
        self._names = set(declared)
        self._pace, self._clock, self._mutex = Pace(limits.most_per_s), clock, Lock()
        self._passed, self._refused = 0, Counter[str]()

    def predict(self, frame: Any, *, stream: str = "") -> Any:
        """``session.predict``. Raises RefusedInput, and what that raises."""
        self.admit(frame, stream=stream)
        return self._session._answer(frame)

    def admit(
        self,
        frame: Any,
        *,
        colour: Literal["rgb", "bgr"] = "rgb",
        stream: str = "",
        at_s: float | None = None,
    ) -> None:
        """Let an input through, or refuse it; either is counted.

        Args:
            frame: a picture for a model that declares preprocessing, arrays by name for another.
            colour: order of a picture's channels.
            stream: each has a rate limit of its own.
            at_s: when it came; None is now.

        Raises:
            RefusedInput: it does not keep a limit, or the model does not take such a thing.
        """
        refused = self._refusal(frame, colour) or self._refusal_of_pace(stream, at_s)
        self._count(refused.reason if refused else "")
        if refused is not None:
            raise refused

    def admit_many(self, frames: Sequence[Any], *, stream: str = "") -> list[RefusedInput | None]:
        """The same of inputs that come at once: to the rate limit they are one question.

        Returns:
            For each, None if it is let through, or why it is not.
        """
        refusals = [self._refusal(frame, "rgb") for frame in frames]
        if None in refusals and (hurried := self._refusal_of_pace(stream, None)) is not None:
            refusals = [refused or hurried for refused in refusals]
        for refused in refusals:
            self._count(refused.reason if refused else "")
        return refusals

    def admit_rows(self, inputs: Any) -> dict[int, str]:
        """The same of the rows of arrays (``Session.run_batch``); which are refused, and why.

        What is not of the right names, or no such arrays, has no rows: that is for the session to
        say, and nothing of it is counted.
        """
        if not isinstance(inputs, Mapping) or set(inputs) != self._names:
            return {}
        lengths = {
            len(array) if isinstance(array, np.ndarray) and array.ndim else 0
            for array in inputs.values()
        }
        if len(lengths) != 1 or 0 in lengths:
            return {}
        (count,) = lengths
        faults: dict[int, str] = {}
        for name, array in inputs.items():
            faults = {**self._faults_of(name, array, count), **faults}
        if len(faults) < count and (hurried := self._refusal_of_pace("", None)) is not None:
            faults = {**dict.fromkeys(range(count), hurried.reason), **faults}
        for row in range(count):
            self._count(faults.get(row, ""))
        return dict(sorted(faults.items()))

    def begin_anew(self) -> None:
        """Forget when inputs came: the times that are given from now on are of another clock."""
        with self._mutex:
            self._pace.clear()

    def report(self) -> GuardReport:
        """What was let through and what was refused, so far."""
        with self._mutex:
            return GuardReport(passed=self._passed, refused=dict(self._refused))

    def _count(self, reason: str) -> None:
        with self._mutex:
            if reason:
                self._refused[reason] += 1
            else:
                self._passed += 1

    def _refusal(self, frame: Any, colour: Literal["rgb", "bgr"]) -> RefusedInput | None:
        try:
            reason = self._fault(frame, colour)
        except UsageError as error:
            refused = RefusedInput(DOES_NOT_FIT, error.message, error.hint)
            refused.__cause__ = error
            return refused
        return RefusedInput(reason) if reason else None

    def _refusal_of_pace(self, stream: str, at_s: float | None) -> RefusedInput | None:
        with self._mutex:
            reason = self._pace.fault(stream, self._clock() if at_s is None else at_s)
        return RefusedInput(reason) if reason else None

    def _fault(self, frame: Any, colour: Literal["rgb", "bgr"]) -> str:
        if self._session.processing.preprocess is not None:
            return fault_of_picture(check_picture(frame), self.limits, colour)
        self._session.check(frame)
        for name, value in frame.items():
            if faults := self._faults_of(name, value, 1):
                return faults[0]
        return ""

    def _faults_of(self, name: str, value: Array, count: int) -> dict[int, str]:
        """What is wrong with each of so many rows of an array, of those with which anything is."""
        if value.dtype.kind not in "biufc" or not value.size:
            return {}
        faults: dict[int, str] = {}
        rows = value.reshape(count, -1)
        if name in self.limits.ranges:
            real = self._in_the_original_s_terms(name, rows)
            low, high = self.limits.ranges[name]
            # Asked so that a NaN, of which neither holds, is out of a range.
            within = (real.min(axis=1) >= low) & (real.max(axis=1) <= high)
            faults = dict.fromkeys(np.flatnonzero(~within).tolist(), f"out of range: {name}")
        if self.limits.finite and value.dtype.kind in "fc":
            finite = np.isfinite(rows).all(axis=1)
            faults |= dict.fromkeys(np.flatnonzero(~finite).tolist(), f"not finite: {name}")
        return faults

    def _in_the_original_s_terms(self, name: str, value: Array) -> Array:
        built = self._quantized.get(name)
        if built is not None and built.quantization and value.dtype == numpy_dtype(built.dtype):
            return dequantize(value, built.quantization)
        return value
