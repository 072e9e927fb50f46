"""HTML that is safe by construction: whatever is not already HTML is escaped on its way in.

``tag`` builds an element. A child of type ``Html`` is taken as it is; any other text is foreign (a
label, a file name, what an engine said) and is escaped. Text put together outside ``tag`` and
``join`` is plain again, and a forgotten wrapper shows on the page instead of running there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

Child = str | None
Attribute = str | int | float | None

_VOID = frozenset({"br", "meta"})
# Of the control characters HTML allows white space alone. A lone surrogate (from a file name that
# is not UTF-8) could not even be encoded.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: str) -> Html:
    """Foreign text, made harmless; what cannot be printed becomes U+FFFD."""
    if isinstance(value, Html):
        return value
    return Html(html.escape(_UNPRINTABLE.sub("\ufffd", value)))


def join(children: Iterable[Child], between: str = "") -> Html:
    """The children one after another, ``between`` them; None is left out."""
    return Html(text(between).join(text(child) for child in children if child is not None))


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """One element.

    Args:
        children: its content; None is left out.
        attributes: by name, ``_`` for ``-`` and a final ``_`` dropped (``class_``); None is left
            out; a float keeps two decimals.
    """
    listed = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{listed}>")
    return Html(f"<{name}{listed}>{join(children)}</{name}>")


def foreign(value: str) -> Html:
    """A name that someone else chose; its writing direction stays its own affair."""
    return tag("bdi", value)


def rows(*children: Child) -> Html:
    """Children on lines of their own, for those who read the source."""
    return join(children, "\n")


def _attribute(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
