"""Limits: read from a file, and refused where nothing could pass them.

# limits.toml: the fields of edge_sdk.spec.InputLimits
min_luma = 20
max_burnt = 0.3
most_per_s = 10

[ranges]
temperature = [-40, 85]
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec

from edge_sdk.errors import UsageError
from edge_sdk.processing.spec_file import plain, refuse_unknown
from edge_sdk.spec.guard import InputLimits
from edge_sdk.toml_file import read_toml


def read_limits(path: Path | str) -> InputLimits:
    """Read a file of limits.

    Raises:
        UsageError: missing, unreadable, not TOML, an unknown key, a value of the wrong type, or
            limits that nothing can pass.
        UnavailableError: Python 3.10 without ``tomli``.
    """
    path = Path(path)
    document = read_toml(path)
    refuse_unknown(str(path), document, InputLimits)
    try:
        limits = msgspec.convert(document, InputLimits)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{path}: {plain(error)}.", "python -m pydoc edge_sdk.spec.guard   # explains each"
        ) from error
    return check_limits(limits)


def check_limits(limits: InputLimits) -> InputLimits:
    """The same. Raises UsageError if nothing can pass them."""
    if (
        limits.min_luma >= limits.max_luma
        or limits.max_burnt < 0
        or any(low > high for low, high in zip(limits.min_size, limits.max_size, strict=True))
        or (limits.most_per_s is not None and not 0 < limits.most_per_s < math.inf)
    ):
        raise UsageError(
            "No picture can pass these limits.", "For example min_luma = 20, max_luma = 235"
        )
    for name, (low, high) in limits.ranges.items():
        if not low <= high:
            raise UsageError(
                f"Nothing is between {low:g} and {high:g}, the range of {name!r}.",
                "The least comes first.",
            )
    return limits
