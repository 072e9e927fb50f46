"""Versions and their order, as Semantic Versioning 2.0.0 §11 has it."""

from __future__ import annotations

AGENT_VERSION = "0.1.0"
"""The edgeloop that this code is; the distribution's version."""

Number = tuple[int, str]
"""A decimal as (digits, text without leading zeros): it sorts as the number does, at any length."""


def precedence(
    version: str,
) -> tuple[tuple[Number, ...], bool, tuple[tuple[bool, int, str], ...]]:
    """A key that sorts versions by SemVer precedence; text that is not a version sorts first."""
    core, _, pre = version.partition("+")[0].partition("-")
    numbers = tuple(_number(part) or (-1, "") for part in core.split("."))
    identifiers = tuple(
        (_number(part) is None, *(_number(part) or (0, part))) for part in pre.split(".") if part
    )
    return numbers, not pre, identifiers


def _number(text: str) -> Number | None:
    """None if it is not a decimal; ``int`` would refuse 4,301 digits and accept Arabic ones."""
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0")
    return len(digits), digits
