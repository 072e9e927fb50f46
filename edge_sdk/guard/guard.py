"""A session behind a guard, for programs that are no pipeline."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_sdk.backends.base import numpy_dtype
from edge_sdk.errors import UsageError
from edge_sdk.guard.limits import check_fit, check_limits
from edge_sdk.guard.looks import fault_of_picture
from edge_sdk.guard.pace import Pace
from edge_sdk.processing import dequantize
from edge_sdk.processing.picture import check_picture
from edge_sdk.spec.guard import GuardReport, InputLimits

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
        self._pace, self._clock, self._mutex = Pace(limits.most_per_s), clock, Lock()
        self._passed, self._refused = 0, Counter[str]()

    def predict(self, frame: Any, *, stream: str = "") -> Any:
        """``session.predict``. Raises RefusedInput, and what that raises."""
        self.admit(frame, stream=stream)
        return self._session._answer(frame)

    def admit(self, frame: Any, *, stream: str = "", at_s: float | None = None) -> None:
        """Let an input through, or refuse it; either is counted.

        Args:
            frame: a picture for a model that declares preprocessing, arrays by name for another.
            stream: each has a rate limit of its own.
            at_s: when it came; None is now.

        Raises:
            RefusedInput: it does not keep a limit, or the model does not take such a thing.
        """
        try:
            reason = self._fault(frame)
        except UsageError as error:
            with self._mutex:
                self._refused[DOES_NOT_FIT] += 1
            raise RefusedInput(DOES_NOT_FIT, error.message, error.hint) from error
        with self._mutex:
            reason = reason or self._pace.fault(stream, self._clock() if at_s is None else at_s)
            if reason:
                self._refused[reason] += 1
                raise RefusedInput(reason)
            self._passed += 1

    def report(self) -> GuardReport:
        """What was let through and what was refused, so far."""
        with self._mutex:
            return GuardReport(passed=self._passed, refused=dict(self._refused))

    def _fault(self, frame: Any) -> str:
        if self._session.processing.preprocess is not None:
            return fault_of_picture(check_picture(frame), self.limits)
        self._session.check(frame)
        for name, value in frame.items():
            if fault := self._out_of_range(name, value):
                return f"{fault}: {name}"
        return ""

    def _out_of_range(self, name: str, value: Any) -> str:
        if value.dtype.kind not in "biufc" or not value.size:
            return ""
        if self.limits.finite and not np.isfinite(value).all():
            return "not finite"
        if name not in self.limits.ranges:
            return ""
        built = self._quantized.get(name)
        if built is not None and built.quantization and value.dtype == numpy_dtype(built.dtype):
            value = dequantize(value, built.quantization)
        low, high = self.limits.ranges[name]
        # Asked so that a NaN, of which neither holds, is out of a range.
        return "" if value.min() >= low and value.max() <= high else "out of range"
