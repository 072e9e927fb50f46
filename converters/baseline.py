"""The reference for drift: what the artifact's own build measures on the data it was judged by.

It goes the way a device goes: the build that devices prefer, the same processing, the same
features. So a device whose inputs are like the evaluation's counts like the baseline, and what
differs is the world, not the arithmetic. Noise instead of data gives no baseline: nothing in the
field looks like noise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from converters.identity import Identity
from converters.package import Built
from converters.parity import On
from converters.samples import Samples
from converters.sources.base import alone
from edge_sdk.errors import UnavailableError
from edge_sdk.processing import Processing
from edge_sdk.spec import Boxes, Classes, Classification, Detection, Signature
from edge_sdk.spec.choice import PREFERENCE
from edge_sdk.spec.sketch import Baseline
from edge_sdk.telemetry.baseline import BINS, baseline_of
from edge_sdk.telemetry.features import Probe

MAX_SAMPLES = 2000
"""Samples taken, evenly spread: at 2,000 the reference is as good as exact beside any window."""
MIN_SAMPLES = 5 * BINS
"""Below it a bin's share is a guess, and drift would be measured against chance."""


def is_reference(judged: Samples, on: On) -> bool:
    """Whether what the variants were judged on says anything of what devices will see."""
    return on != "random" and len(judged) >= MIN_SAMPLES


def measure_baseline(
    signature: Signature, identity: Identity, built: Sequence[Built], judged: Samples
) -> Baseline | None:
    """The baseline; None where no build can be run here, or hardly ever answers a number.

    Args:
        signature: the source's.
        built: the proven variants.
        judged: what they were judged on; ``is_reference``.
    """
    runnable = [b for b in built if not b.runner.unchecked_ops]
    if not runnable:
        return None
    runner = min(runnable, key=_rank).runner
    processing = Processing(
        signature=signature,
        engine_signature=signature,
        preprocess=identity.preprocess,
        postprocess=identity.postprocess,
        labels=identity.labels,
    )
    probe = Probe(processing, signature, signature)
    rows, classes = [], Counter[int]()
    for index in judged.pick(MAX_SAMPLES):
        inputs = alone(judged.read(index, index + 1), signature, 0)
        outputs = runner.run_one(inputs)
        try:
            result = processing.after(outputs)
        except UnavailableError:
            continue  # the model answers no number here; a device counts that as an error
        rows.append(probe.measure(inputs, outputs, result))
        if isinstance(result, Classes):
            classes[result.top[0].index] += 1
        elif isinstance(result, Boxes):
            classes.update(box.index for box in result.found)
    if len(rows) < MIN_SAMPLES:
        return None
    count = _class_count(signature, identity)
    return baseline_of(
        probe.names, np.asarray(rows, np.float64), [classes[i] for i in range(count)]
    )


def _rank(built: Built) -> tuple[int, bool]:
    """As devices choose: by recipe, and TFLite before others."""
    known = built.recipe in PREFERENCE
    rank = PREFERENCE.index(built.recipe) if known else len(PREFERENCE)
    return rank, built.format != "tflite"


def _class_count(signature: Signature, identity: Identity) -> int:
    """How many classes there are; 0 where answers are none."""
    postprocess = identity.postprocess
    if isinstance(postprocess, Classification):
        name = postprocess.output
    elif isinstance(postprocess, Detection):
        name = postprocess.scores
    else:
        return 0
    last = next(t.shape[-1] for t in signature.outputs if t.name == name)
    return last if isinstance(last, int) else len(identity.labels)
