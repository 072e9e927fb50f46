"""How each MIL operation is computed: one table, one module for each family of operations.

To add an operation: write it in the family's module as a function of MIL's input names, name it in
that module's ``EVALUATORS`` with the batch rule that is proven for it, and compare it with an
independent reference in ``tests/unit/mil``.
"""

from __future__ import annotations

from converters.mil.evaluator import Evaluator
from converters.mil.ops import (
    activation,
    conv,
    elementwise,
    index,
    linear,
    normalise,
    pool,
    quantize,
    recurrent,
    reduce,
    resize,
    shape,
)

EVALUATORS: dict[str, Evaluator] = {
    **activation.EVALUATORS,
    **conv.EVALUATORS,
    **elementwise.EVALUATORS,
    **index.EVALUATORS,
    **linear.EVALUATORS,
    **normalise.EVALUATORS,
    **pool.EVALUATORS,
    **quantize.EVALUATORS,
    **recurrent.EVALUATORS,
    **reduce.EVALUATORS,
    **resize.EVALUATORS,
    **shape.EVALUATORS,
}
"""Every operation that can be evaluated, by MIL's name of it."""
