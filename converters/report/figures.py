"""Numbers as people read them, and never rounded into a better one.

99.996 % of 100,000 answers is four wrong ones: it is written ">99.99%", since 100.00% would say
that there are none.
"""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
UNKNOWN = "\N{EM DASH}"


def percent(share: float | None, decimals: int = 2) -> str:
    """A share of one: ``90.77%``."""
    if share is None:
        return UNKNOWN
    return _short_of_its_end(100 * share, 100.0, decimals, "%")


def size_share(share: float) -> str:
    """A size as a share of another: ``33%``, ``8.8%``."""
    return f"{100 * share:,.{0 if share >= 0.0995 else 1}f}%"


def cosine(value: float | None) -> str:
    """A cosine similarity, to six decimals."""
    return UNKNOWN if value is None else _short_of_its_end(value, 1.0, 6, "")


def points(change: float | None) -> str:
    """A difference of two shares, in percentage points and with its sign: ``+0.12``."""
    if change is None:
        return UNKNOWN
    size = abs(100 * change)
    if size == 0:
        return "0.00"
    sign = "+" if change > 0 else MINUS
    return sign + (f"{size:.2f}" if size >= 0.005 or not math.isfinite(size) else f"{size:.1g}")


def difference(value: float | None) -> str:
    """An absolute difference: two digits, powers of ten below a thousandth."""
    if value is None:
        return UNKNOWN
    if not math.isfinite(value):
        return "not finite"
    if value == 0:
        return "0"
    if 1e-3 <= value < 1e5:
        return f"{value:,.{max(0, 1 - math.floor(math.log10(value)))}f}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def required(value: float) -> str:
    """A limit as it was set, without the noise of binary fractions: ``99.9``."""
    return f"{value:.10g}"


def milliseconds(time: float) -> str:
    """A time in milliseconds, to three digits: ``0.0123 ms``, ``12.3 ms``, ``1,234 ms``."""
    return f"{time:,.0f} ms" if time >= 100 else f"{time:.3g} ms"


def count(number: int) -> str:
    """A whole number: ``10,000``."""
    return f"{number:,}"


def counted(number: int, word: str) -> str:
    """How many of what: ``1 variant``, ``7 variants``."""
    return f"{count(number)} {word}{'' if number == 1 else 's'}"


def listed(words: list[str]) -> str:
    """Words in a sentence: ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _short_of_its_end(value: float, end: float, decimals: int, unit: str) -> str:
    """The value, unless rounding would make it what it only comes near to: 0 or ``end``."""
    shown = f"{value:.{decimals}f}"
    step = 10.0**-decimals
    if value < end and float(shown) >= end:
        return f">{end - step:.{decimals}f}{unit}"
    if value > 0 and float(shown) <= 0:
        return f"<{step:.{decimals}f}{unit}"
    return shown.replace("-", MINUS) + unit
