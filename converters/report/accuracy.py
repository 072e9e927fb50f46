"""Accuracy, its change, and how much of the change may be chance.

The original and a variant answer the same inputs, so only inputs that they answer differently can
change the accuracy; of 10,000 that agree on 99.5 %, at most 50. The interval is that of paired
proportions with half a count added to each cell (Agresti and Min, "Simple improved confidence
intervals for comparing matched proportions", Statistics in Medicine 24, 2005), with every differing
answer counted as one that matters: the true margin is this wide or narrower.
"""

from __future__ import annotations

import math

from edge_sdk.spec import Agreement, ConversionReport

Z = 1.96
"""Standard normal quantile of a two-sided 95 % interval."""


def accuracy_of_original(report: ConversionReport) -> float | None:
    """The original's own accuracy, as measured beside a variant; None without labels."""
    found = [v.agreement.source_accuracy for v in report.variants if v.agreement]
    return next((accuracy for accuracy in found if accuracy is not None), None)


def change_of(agreement: Agreement | None) -> float | None:
    """Accuracy of the variant less that of the original, as a share; None without labels."""
    if agreement is None or agreement.accuracy is None or agreement.source_accuracy is None:
        return None
    return agreement.accuracy - agreement.source_accuracy


def margin_of(agreement: Agreement | None) -> float | None:
    """Half the width of the 95 % interval around the change, as a share; None if unknown."""
    change = change_of(agreement)
    if agreement is None or change is None or agreement.argmax is None or agreement.samples < 1:
        return None
    samples = agreement.samples + 2
    differing = (1 - agreement.argmax) * agreement.samples + 1
    moved = change * agreement.samples
    return Z * math.sqrt(max(differing - moved**2 / samples, 0.0)) / samples
