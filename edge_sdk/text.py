"""Small words for people: what was meant, how much, how long."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from difflib import get_close_matches


def printable(text: str) -> str:
    """One line that does nothing to a terminal: what is not printable is written as an escape.

    An artifact's labels, tensor names and descriptions are whatever its maker put there.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def nearest(wrong: str, right: Iterable[str]) -> str:
    """A hint for a wrong name: the nearest right one, or all of them."""
    names = list(right)
    close = get_close_matches(wrong, names, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"There are: {', '.join(names)}." if names else "There are none."


def bytes_text(count: float) -> str:
    """A size as people read it, in powers of 1000: ``427 kB``, ``14.0 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if count >= 99.95 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def utc_text(at_ms: int) -> str:
    """A moment as people read it: ``2026-11-30 19:04:07 UTC``.

    Args:
        at_ms: Unix milliseconds.
    """
    return datetime.fromtimestamp(at_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]], right: str = "") -> str:
    """Columns padded to their widest cell, two spaces apart.

    Args:
        header: one title per column.
        rows: cells as text.
        right: one character per column, ``>`` for those set flush right; the rest flush left.
    """
    cells = [header, *rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    flush = right.ljust(len(header), "<")
    lines = [
        "  ".join(
            cell.rjust(width) if side == ">" else cell.ljust(width)
            for cell, width, side in zip(row, widths, flush, strict=True)
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
