"""Which toolchains there are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_sdk.errors import UsageError
from edge_sdk.files import sha256
from edge_sdk.text import nearest

HERE = Path(__file__).parent
TETHER = HERE / "drivers" / "tethered.py"
"""The program of ours that runs a driver and ends it with us."""


@dataclass(frozen=True)
class Toolchain:
    """An engine with a venv of its own.

    Attributes:
        name: what it is asked for by, and the distribution that it is for.
        about: one line for a person.
        needed_mb: room on the disk that building it takes.
    """

    name: str
    about: str
    needed_mb: int

    @property
    def lock(self) -> Path:
        """The file of exact pins."""
        return HERE / "locks" / f"{self.name}.lock"

    @property
    def driver(self) -> Path:
        """The program of ours that runs inside."""
        return HERE / "drivers" / f"drive_{self.name}.py"

    @cached_property
    def lock_sha256(self) -> str:
        """The digest of the lock file: another lock is another toolchain."""
        return sha256(self.lock.read_bytes())

    @cached_property
    def version(self) -> str:
        """The version that the lock pins of what the toolchain is for."""
        lines = self.lock.read_text(encoding="utf-8").split()
        return next(x for x in lines if x.startswith(f"{self.name}==")).partition("==")[2]

    def tools(self) -> dict[str, str]:
        """For the provenance: what ran, and the digest of all that it ran with."""
        return {self.name: f"{self.version} (lock sha256:{self.lock_sha256[:16]})"}


CATALOGUE: dict[str, Toolchain] = {
    each.name: each
    for each in (Toolchain("onnx2tf", "ONNX to TFLite, without TensorFlow", needed_mb=500),)
}


def toolchain(name: str) -> Toolchain:
    """The toolchain of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in CATALOGUE:
        raise UsageError(f"There is no toolchain {name!r}.", nearest(name, CATALOGUE))
    return CATALOGUE[name]
