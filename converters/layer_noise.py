"""Where quantized variants lose their signal, for the report: layers beside a float variant's.

The float variants that were made in the same run serve as the reference; none is made for this
alone. It is evidence and no verdict: where a build does not show its tensors, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence

from converters.probes import PROBED, open_probe
from converters.proof import Made
from converters.samples import Samples
from converters.sensitivity import culprit, layer_errors
from converters.sources.base import Source, alone
from converters.steps import Steps
from edge_sdk.errors import EdgeError
from edge_sdk.spec import LayerNoise

LOOKED_AT = 8
"""Samples that layers are compared on; ``edge debug --inputs`` takes more."""
REFERENCES = ("fp32", "fp16")
STEP = "compare the layers"


def layer_noise(
    original: Source, made: Sequence[Made], samples: Samples, steps: Steps
) -> dict[str, LayerNoise]:
    """The layers of each quantized variant that has a float one beside it, by the variant's id."""
    pairs = [(m, beside) for m in made if (beside := _reference(m, made)) is not None]
    if not pairs:
        return {}
    steps.begin(STEP)
    chosen = samples.at(samples.pick(LOOKED_AT))
    count = len(next(iter(chosen.values())))
    rows = [alone(chosen, original.signature, row) for row in range(count)]
    found: dict[str, LayerNoise] = {}
    for quantized, reference in pairs:
        try:
            real, coarse = (
                open_probe(m.order.format, m.emitted.path.read_bytes(), original.signature)
                for m in (reference, quantized)
            )
            errors, _ = layer_errors(real, coarse, rows)
        except EdgeError:  # the variant itself has been judged, and its inside is no part of that
            continue
        if errors:
            worst = culprit(errors)
            found[quantized.order.id] = LayerNoise(
                against=reference.order.id,
                samples=count,
                layers=errors,
                culprit=None if worst is None else worst.name,
            )
    return found


def _reference(of: Made, made: Sequence[Made]) -> Made | None:
    """The float variant to hold it against; None for one that is float, or is alone."""
    if of.order.format not in PROBED or of.order.recipe.name in REFERENCES:
        return None
    same = {m.order.recipe.name: m for m in made if m.order.format == of.order.format}
    return next((same[name] for name in REFERENCES if name in same), None)
