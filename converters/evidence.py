"""The evidence of one conversion: what to calibrate with, what to be judged on, what to ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converters.identity import Identity
from converters.package import golden_of
from converters.parity import On
from converters.samples import Samples, random_samples, read_samples
from converters.scores import scores_output
from converters.sources import Source
from edge_sdk.artifact import Golden
from edge_sdk.artifact.golden import MAX_SAMPLES
from edge_sdk.spec import Postprocess

Data = str | Path | Mapping[str, Any]
NO_GOLDEN = "none"
GOLDEN_BYTES = 256_000
"""What golden vectors may take unless they were chosen by hand: every device fetches them with each
version. A fault that a device has shows on a few inputs as on many."""
LEAST_GOLDEN = 2
"""However large they are: one alone would not show an answer that is always the same."""


@dataclass(frozen=True)
class Evidence:
    """The data of one conversion.

    Attributes:
        calibration: to choose ranges from.
        judged: to be compared on, and what that is.
    """

    calibration: Samples | None
    judged: Samples
    on: On


def read_evidence(
    original: Source, identity: Identity, calibrate: Data | None, evaluate: Data | None
) -> Evidence:
    """Calibration data, and the best data there is to be judged on."""
    calibration = None if calibrate is None else _samples(calibrate, original, identity)
    if evaluate is not None:
        return Evidence(calibration, _samples(evaluate, original, identity), "evaluation")
    if calibration is not None:
        return Evidence(calibration, calibration, "calibration")
    return Evidence(None, random_samples(original.signature), "random")


def _samples(data: Data, original: Source, identity: Identity) -> Samples:
    return read_samples(
        data,
        original.signature,
        preprocess=identity.preprocess,
        postprocess=identity.postprocess,
        labels=identity.labels,
    )


def golden_vectors(
    golden: str | Path | None, judged: Samples, original: Source, identity: Identity
) -> Golden | None:
    """The golden vectors that ship; None where they are left out."""
    if golden is not None and str(golden) == NO_GOLDEN:
        return None
    if golden is not None:
        samples = _samples(golden, original, identity)
        return golden_of(original, samples.at(samples.pick(MAX_SAMPLES)))
    one = golden_of(original, judged.at([0]))
    size = sum(array.nbytes for array in (*one.inputs.values(), *one.outputs.values()))
    count = min(MAX_SAMPLES, max(LEAST_GOLDEN, GOLDEN_BYTES // max(size, 1)))
    return golden_of(original, judged.at(judged.pick(count)))


def scores_of(original: Source, postprocess: Postprocess | None, data: Evidence) -> str | None:
    """The output that holds the scores of these samples, if one does."""
    labelled = data.judged.labels is not None
    return scores_output(original.signature, postprocess, labelled=labelled)
