"""Golden vectors on this machine: does each build still answer here as the original did there?"""

from __future__ import annotations

import math
from typing import Any

from edge_sdk.artifact import Artifact, Golden
from edge_sdk.errors import ArtifactError, EdgeError, UnavailableError
from edge_sdk.runtime.opening import open_session
from edge_sdk.runtime.session import Session
from edge_sdk.spec import GoldenCheck, Signature, Variant


def check(artifact: Artifact, golden: Golden, variant: Variant) -> GoldenCheck:
    """Run one variant over the golden inputs and compare.

    Raises:
        ArtifactError: the artifact is corrupt.
    """
    try:
        with open_session(artifact.path, variant=variant.id) as session:
            return judge(session, golden)
    except ArtifactError:
        raise
    except UnavailableError as error:
        return GoldenCheck(
            variant=variant.id, status="skipped", reason=error.message, hint=error.hint
        )
    except EdgeError as error:
        return GoldenCheck(variant=variant.id, status="failed", reason=error.message)


def judge(session: Session, golden: Golden) -> GoldenCheck:
    """Run a loaded variant, as it was loaded, over the golden inputs and compare.

    Raises:
        EdgeError: it does not run on them at all.
    """
    differences = largest_differences(session, golden)
    placement = session.placement
    allowed = golden.tolerance.get(session.variant, {})
    tolerance = {name: float(allowed.get(name, 0.0)) for name in differences}
    beyond = [
        f"{name} differs by {found:.3g}, allowed are {tolerance[name]:.3g}"
        for name, found in differences.items()
        if found > tolerance[name]
    ]
    return GoldenCheck(
        variant=session.variant,
        status="failed" if beyond else "passed",
        backend=f"{placement.backend} {placement.backend_version}",
        differences={name: gap if gap < math.inf else None for name, gap in differences.items()},
        tolerance=tolerance,
        reason="; ".join(beyond),
    )


def largest_differences(session: Session, golden: Golden) -> dict[str, float]:
    """The greatest absolute difference from the golden outputs, by output name.

    A NaN or an infinity on one side only counts as an infinite difference, and so does another
    shape.
    """
    worst = dict.fromkeys(golden.outputs, 0.0)
    for row in range(len(golden)):
        outputs = session.run({name: array[row] for name, array in golden.inputs.items()})
        for name, expected in golden.outputs.items():
            worst[name] = max(worst[name], _difference(outputs[name], expected[row]))
    return worst


def _difference(found: Any, expected: Any) -> float:
    import numpy as np

    if found.shape != expected.shape:
        return math.inf
    exact = np.complex128 if expected.dtype.kind == "c" else np.float64
    found, expected = found.astype(exact), expected.astype(exact)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.where(same, 0.0, np.abs(found - expected))
    return float(np.max(np.nan_to_num(gap, nan=np.inf), initial=0.0))


def unproven(signature: Signature, golden: Golden) -> str:
    """Why these vectors cannot prove a model of that signature; empty if they can."""
    missing = {t.name for t in signature.inputs} ^ set(golden.inputs)
    missing |= {t.name for t in signature.outputs} ^ set(golden.outputs)
    return f"golden vectors and signature do not agree on {sorted(missing)}" if missing else ""
