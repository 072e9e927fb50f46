"""The input guard: what no model should be asked about is refused, counted and told.

A lens cap, a camera that looks into the sun, a sensor that says -999: a model answers such inputs
as confidently as others.

    guard = InputGuard(session, InputLimits(min_luma=20, max_burnt=0.3))
    try:
        answer = guard.predict(picture)
    except RefusedInput as refused:
        print(refused.reason)
    print(guard.report())      # 117 passed, 3 refused: 2 dark, 1 blurred

Limits that are declared when a model is converted (``edge convert --guard``) travel in its
manifest, and hold wherever it answers: ``session.predict`` and ``predict_batch``, ``run`` of a
model that takes arrays, a pipeline's ``Model``, ``edge run`` and an agent keep to them by
themselves. ``session.guard`` counts. In a pipeline ``pipeline.stages.Guard`` asks earlier than the
model would."""

from edge_sdk.guard.guard import InputGuard, RefusedInput, RefusedRows
from edge_sdk.guard.limits import check_fit, check_travels, read_limits
from edge_sdk.spec.guard import check_limits, describe_limits

__all__ = [
    "InputGuard",
    "RefusedInput",
    "RefusedRows",
    "check_fit",
    "check_limits",
    "check_travels",
    "describe_limits",
    "read_limits",
]
