"""The base of every word edgeloop writes down: immutable, named fields, forward compatible.

A word decodes from JSON that carries fields it has never heard of: a newer edgeloop may have added
them, and an older one must still read the rest. What an older one must *not* half understand (a new
kind of preprocessing, say) is guarded by the manifest's ``min_agent`` instead.

The words of a manifest are in modules without ``from __future__ import annotations``: msgspec would
have each annotation, then a text, compiled when the first manifest is read, and take four times as
long over it.
"""

from __future__ import annotations

import msgspec


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen record whose unknown fields are ignored on decoding.

    Subclasses repeat ``frozen=True, kw_only=True``: type checkers do not inherit them.
    """
