"""A share of one core for a program, as a small device or a container gives it.

By the kernel's quota where this user may set one (cgroup v2's ``cpu.max``, or v1's
``cpu.cfs_quota_us``), else by Debian's ``cpulimit``, which stops and continues the program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

PERIOD_US = 100_000
_SCRIPTS = Path(__file__).parents[1] / "scripts"


@dataclass(frozen=True)
class Quota:
    """How programs are held to a share.

    Attributes:
        by: what holds them, in a few words.
        join: run in the child before the program begins; None where a prefix does it.
        prefix: words before the command.
    """

    by: str
    join: Callable[[], None] | None = None
    prefix: tuple[str, ...] = ()

    def output(self, command: list[str]) -> str:
        """The standard output of a program that is held to the share; it must end with 0."""
        done = subprocess.run(
            [*self.prefix, *command], stdout=subprocess.PIPE, preexec_fn=self.join, check=True
        )
        return done.stdout.decode()


@contextmanager
def quota(share: float) -> Iterator[Quota]:
    """Hold programs to a share of one core, all of them together."""
    for root, file, value in _roots(int(PERIOD_US * share)):
        group = root / f"edgeloop-{os.getpid()}"
        try:
            group.mkdir()
            (group / file).write_text(value)
        except OSError as error:
            print(f"no quota in {root}: {error.strerror}", file=sys.stderr)
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            yield Quota(f"cgroup {file}", partial(_join, group / "cgroup.procs"))
        finally:
            group.rmdir()
        return
    subprocess.run([_SCRIPTS / "apt", "cpulimit"], check=True, stdout=sys.stderr)
    yield Quota("cpulimit", prefix=("cpulimit", "-q", "-l", str(round(share * 100)), "--"))


def _join(procs: Path) -> None:
    procs.write_text(str(os.getpid()))


def _roots(quota_us: int) -> Iterator[tuple[Path, str, str]]:
    """Where groups with a quota may be made: the folder, the file that sets it, what to write."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, folder, kind, options, *_ = line.split()
        if kind == "cgroup2":
            controllers = Path(folder, "cgroup.subtree_control")
            if controllers.exists() and "cpu" in controllers.read_text().split():
                yield Path(folder), "cpu.max", f"{quota_us} {PERIOD_US}"
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield Path(folder), "cpu.cfs_quota_us", str(quota_us)
