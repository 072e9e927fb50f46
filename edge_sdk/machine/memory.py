"""This process's memory: what of it is resident, and giving back what is not needed any more."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any


def resident_bytes() -> int:
    """Memory of this process that is in RAM now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def give_back_memory() -> None:
    """Have the C library return to the system what has been freed.

    By itself it keeps freed blocks of up to 32 MB once it has seen such a size: weights of a model
    that is closed would stay resident until the process ends. Where it is not glibc, nothing.
    """
    trim = getattr(_c_library(), "malloc_trim", None)
    if trim is not None:
        trim(0)


@lru_cache(maxsize=1)
def _c_library() -> Any:
    import ctypes

    return ctypes.CDLL(None)
