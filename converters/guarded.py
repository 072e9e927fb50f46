"""Limits held against a conversion's data: what refuses those would refuse the field's, too."""

from __future__ import annotations

from collections import Counter

import numpy as np

from converters.samples import Samples
from converters.sources.base import Arrays
from edge_sdk.guard.looks import fault_of_picture
from edge_sdk.processing.picture import check_picture
from edge_sdk.spec import InputLimits

LOOKED_AT = 64
"""So many samples tell enough, of a set that may be larger than memory."""


def refused_of(limits: InputLimits, samples: Samples) -> str:
    """What the limits of a model refuse of its own data, in a sentence; empty if nothing.

    Args:
        limits: which fit the model.
        samples: real ones. Of arrays for a model of pictures nothing can be said: they have been
            prepared already.
    """
    rows = samples.pick(LOOKED_AT)
    picture = samples.picture
    refused: Counter[str] = Counter()
    if picture is not None:
        faults = (fault_of_picture(check_picture(picture(at)), limits) for at in rows)
        refused.update(filter(None, faults))
    else:
        refused.update(_out_of_range(limits, samples.at(rows)))
    if not refused:
        return ""
    why = ", ".join(f"{count} {reason}" for reason, count in refused.most_common())
    return (
        f"The limits of --guard refuse {refused.total()} of {len(rows)} inputs of "
        f"{samples.source}: {why}. Where the model runs they would refuse such inputs, too."
    )


def _out_of_range(limits: InputLimits, arrays: Arrays) -> list[str]:
    """A reason for each sample that is refused; data that hold a NaN were refused before."""
    reasons: dict[int, str] = {}
    for name, (low, high) in limits.ranges.items():
        values = arrays[name].reshape(len(arrays[name]), -1)
        kept = (values.min(axis=1) >= low) & (values.max(axis=1) <= high)
        for row in np.flatnonzero(~kept):
            reasons.setdefault(int(row), f"out of range: {name}")
    return list(reasons.values())
