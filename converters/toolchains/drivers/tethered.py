"""Run by the Python of a toolchain: ``tethered.py PARENT DRIVER ARGUMENT…``.

Runs the driver as if it had been started by itself, but no longer than the process ``PARENT``
lives: a conversion that is killed (by SIGKILL, or for want of memory) can end nobody, and an engine
that nobody waits for would go on for minutes. On Linux the kernel sees to it. Elsewhere, and where
the parent was gone before the kernel had been asked, a thread looks who the parent is: an orphan is
given another one.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""
_LOOK_S = 0.5


def _tether(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_S)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _tether(int(sys.argv[1]))
    del sys.argv[:2]
    runpy.run_path(sys.argv[0], run_name="__main__")
