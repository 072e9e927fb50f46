"""A toolchain at work: its driver as a process of its own, with a limit, and its chatter kept.

The driver does not outlive this process, however that ends (see ``drivers/tethered.py``).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from converters.engines import MOST_SAID, TAIL_LINES
from converters.toolchains.catalogue import TETHER, Toolchain
from converters.toolchains.place import examine, folder_of, locked, python_of
from edge_sdk.errors import ConversionError, UnavailableError, UsageError

LIMIT = "EDGELOOP_TOOLCHAIN_LIMIT_S"
LIMIT_S = 900
DAMAGED = 3
"""The exit code by which a driver says that its engine does not import."""
_REASON = "reason: "
"""What a driver begins its last line with when it fails."""


def need(chain: Toolchain) -> None:
    """Make sure that a toolchain is there.

    Raises:
        UnavailableError: it is not, or is damaged; says how to get it.
    """
    state, _ = examine(chain)
    if state == "missing":
        raise UnavailableError(
            f"This needs the toolchain {chain.name} ({chain.about}), which is not installed.",
            f"edge toolchain install {chain.name}",
        )
    if state == "damaged":
        raise UnavailableError(
            f"The toolchain {chain.name} is damaged: files of it are missing or altered.",
            f"edge toolchain install {chain.name}   # builds it anew",
        )


def drive(
    chain: Toolchain, arguments: Sequence[str], folder: Path, what: str, remedy: str = ""
) -> None:
    """Run a toolchain's driver.

    Args:
        chain: which.
        arguments: for the driver: files to read and to write.
        folder: where it works, and leaves what it likes.
        what: the deed, to begin a sentence with.
        remedy: what a person can do about a failure.

    Raises:
        UnavailableError: the toolchain is not there or damaged.
        ConversionError: it failed, or took too long; its own words are inside.
    """
    limit_s = _limit_s()
    with locked(chain, shared=True):
        need(chain)
        home = folder_of(chain)
        log = folder / f"{chain.name}.log"
        with log.open("wb") as chatter:
            tethered = [str(TETHER), str(os.getpid()), str(chain.driver)]
            process = subprocess.Popen(
                [str(python_of(home)), "-I", "-B", *tethered, *arguments],
                cwd=folder,
                env=_environment(home, folder),
                stdin=subprocess.DEVNULL,
                stdout=chatter,
                stderr=chatter,
            )
            try:
                code = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                raise ConversionError(
                    f"{what} failed: {chain.name} was not done after {limit_s:g} s.",
                    f"Give it more time: {LIMIT}={4 * limit_s:g} edge convert …",
                ) from None
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
    if code != 0:
        raise _failure(chain, code, log.read_text(errors="replace"), what, remedy)


def _failure(
    chain: Toolchain, code: int, said: str, what: str, remedy: str
) -> ConversionError | UnavailableError:
    lines = [line for line in said.splitlines() if line.strip() and not re.search(r"\d+%\|", line)]
    reasons = [line for line in lines if line.startswith(_REASON)]
    reason = reasons[-1].removeprefix(_REASON)[:MOST_SAID] if reasons else ""
    if code == DAMAGED:
        return UnavailableError(
            f"The toolchain {chain.name} is damaged: {reason}",
            f"edge toolchain install {chain.name}   # builds it anew",
        )
    if code < 0:
        reason = f"{chain.name} was ended by {signal.Signals(-code).name}"
    tail = "\n".join(line for line in lines[-TAIL_LINES:] if not line.startswith(_REASON))
    hint = "\n".join(part for part in (remedy, tail and f"The engine said:\n{tail}") if part)
    return ConversionError(f"{what} failed: {reason or f'exit code {code}'}", hint)


def _environment(home: Path, folder: Path) -> dict[str, str]:
    """Of this process, less what would lead Python elsewhere; the toolchain's programs first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    path = os.pathsep.join(part for part in (str(home / "bin"), kept.get("PATH", "")) if part)
    return {**kept, "PATH": path, "VIRTUAL_ENV": str(home), "TMPDIR": str(folder)}


def _limit_s() -> float:
    text = os.environ.get(LIMIT, str(LIMIT_S))
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise UsageError(f"{LIMIT}={text} is no number of seconds.", f"export {LIMIT}={LIMIT_S}")
    return limit
