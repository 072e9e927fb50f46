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
from edge_sdk.spec import Signature
from edge_sdk.spec.guard import OF_PICTURES, InputLimits, check_limits
from edge_sdk.text import nearest
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


def check_travels(limits: InputLimits) -> InputLimits:
    """The same. Raises UsageError if a manifest cannot hold them: JSON knows no infinity."""
    numbers = {name: getattr(limits, name) for name in limits.__struct_fields__}
    pairs = {f"ranges.{name}": pair for name, pair in numbers.pop("ranges").items()}
    for name, value in {**numbers, **pairs}.items():
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, float) and not math.isfinite(number):
                raise UsageError(
                    f"The limit {name} is {number:g}, which a manifest cannot hold.",
                    "Leave it out, or write an end that is open as 1e300: x = [0, 1e300]",
                )
    return limits


def check_fit(limits: InputLimits, signature: Signature, *, pictures: bool) -> InputLimits:
    """The same. Raises UsageError if they are of what the model does not take.

    Args:
        limits: what an input must keep.
        signature: of the model, in the original's terms.
        pictures: whether it declares how a picture becomes its input.
    """
    if pictures and limits.ranges:
        raise UsageError(
            "The model takes pictures, whose bytes are 0..255; a range is of arrays.",
            "Limit min_luma, max_luma, max_burnt and min_contrast instead.",
        )
    none = InputLimits()
    for name in () if pictures else OF_PICTURES:
        if getattr(limits, name) != getattr(none, name):
            raise UsageError(
                f"{name} is of pictures, and the model takes arrays: it declares no preprocessing.",
                "Limit ranges instead, or declare [preprocess] with --preprocess SPEC.toml.",
            )
    tensors = {tensor.name: tensor for tensor in signature.inputs}
    for name in limits.ranges:
        if name not in tensors:
            raise UsageError(f"The model has no input {name!r}.", nearest(name, list(tensors)))
        if tensors[name].dtype == "string":
            raise UsageError(f"The input {name!r} is text, which has no range.", "Leave it out.")
    return limits
