"""Every error edgeloop raises on purpose, by whose move it is next.

    EdgeError                 the root: a message (what, where), a hint (what to type next)
    +-- UsageError        2   the caller's: a wrong argument, a bad input file, a wrong shape
    +-- UnavailableError  3   the machine's: an extra, a delegate, a disk or a broker is not there
    +-- ArtifactError     4   nobody's to trust: an artifact is corrupt, tampered with or not ours
    +-- ConversionError   1   the model's: an engine could not convert it, or what it made was wrong
    +-- UpdateError       1   the device's: a new version could not be brought in; the old one runs
    +-- FleetError        3   the other end's: it refused, or said what cannot be understood

The number is the exit code of the ``edge`` command. A *verdict* (parity missed, golden vectors
failed) is a value, not an exception; it exits 1 too. Anything that is not an ``EdgeError`` is a bug
of ours and exits 70. The owner of a seam wraps foreign errors before they leave it.
"""

from __future__ import annotations

from typing import ClassVar


class EdgeError(Exception):
    """Something went wrong that a person can act upon.

    Attributes:
        message: what happened and where, one sentence.
        hint: what to do next, ideally a command to type; empty if there is nothing to do.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


class UsageError(EdgeError):
    """The call or its input is wrong; a corrected call can succeed."""

    exit_code = 2


class UnavailableError(EdgeError):
    """Something the call needs is not on this machine, or not right now."""

    exit_code = 3


class ArtifactError(EdgeError):
    """An artifact is corrupt, malformed or untrusted; nothing in it is used."""

    exit_code = 4

    def __init__(
        self, message: str, hint: str = "Fetch the artifact again, or convert the model again."
    ) -> None:
        super().__init__(message, hint)


class ConversionError(EdgeError):
    """A model could not be converted, or the engine's output did not survive its proof."""

    exit_code = 1


class UpdateError(EdgeError):
    """A device could not bring in what it should run; what ran before still runs."""

    exit_code = 1


class FleetError(EdgeError):
    """The other end of the wire refused, or sent something that cannot be understood."""

    exit_code = 3
