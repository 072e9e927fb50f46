"""Single values that the kernel shows as files, below ``/sys`` and ``/proc``."""

from __future__ import annotations

from pathlib import Path


def kernel_text(path: Path) -> str:
    """What stands there, without the line's end; nothing where this kernel does not have it."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def kernel_number(path: Path) -> int | None:
    """The whole number there; None where there is none."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
