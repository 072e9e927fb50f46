"""Promises: whether a loaded model is what its manifest says, and runs where it was asked to."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.errors import ArtifactError, UnavailableError
from edge_sdk.spec import Placement, Signature, TensorSpec


def check_promise(path: Path, promised: Signature, found: Signature) -> None:
    """Whether a manifest describes the model that came with it. Raises ArtifactError if not.

    A length may be open on one side: ``--input`` fixes what a model leaves so.
    """
    for side in ("inputs", "outputs"):
        said, is_so = getattr(promised, side), getattr(found, side)
        if len(said) != len(is_so) or not all(map(_alike, said, is_so)):
            raise ArtifactError(
                f"{path}: the manifest says {side} {', '.join(map(str, said))}, "
                f"the model has {', '.join(map(str, is_so))}."
            )


def check_terms(path: Path, declared: Signature, build: Signature) -> None:
    """Whether a build has the lengths of the original. Raises ArtifactError if not."""
    for side in ("inputs", "outputs"):
        originals = {tensor.name: tensor for tensor in getattr(declared, side)}
        for tensor in getattr(build, side):
            original = originals[tensor.name]
            if not _same_lengths(original, tensor):
                raise ArtifactError(
                    f"{path}: the manifest says {original}, its variant has {tensor}."
                )


def _alike(said: TensorSpec, is_so: TensorSpec) -> bool:
    return said.dtype == is_so.dtype and _same_lengths(said, is_so)


def _same_lengths(one: TensorSpec, other: TensorSpec) -> bool:
    return len(one.shape) == len(other.shape) and all(
        a == b or isinstance(a, str) or isinstance(b, str)
        for a, b in zip(one.shape, other.shape, strict=True)
    )


def check_strict(placement: Placement) -> None:
    """Whether it runs where it was asked to, and nowhere else. Raises UnavailableError if not."""
    requested = placement.requested or placement.actual
    if not requested:
        return  # nothing was asked for, and there is no operation that could run elsewhere
    first = requested[0]
    if first not in placement.actual:
        reason = next((a.reason for a in placement.attempts if a.delegate == first), "not tried")
        raise UnavailableError(
            f"The delegate {first!r} is not active: {reason}.",
            "Without --strict the next delegate takes its place.",
        )
    strays = [a for a in placement.attempts if a.active and a.delegate not in requested]
    if stray := next((a for a in strays if a.operations), None):
        raise UnavailableError(
            f"{stray.operations} of the model's operations run on {stray.delegate!r}, "
            f"which was not asked for.",
            f"Allow it: --delegate {','.join((*requested, stray.delegate))}",
        )
