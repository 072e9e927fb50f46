"""What an artifact's owner decides about it; everything else in it is measured or derived."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.spec import InputLimits, Postprocess, Preprocess


@dataclass(frozen=True)
class Identity:
    """What the artifact's owner decides about it."""

    name: str
    version: str
    labels: tuple[str, ...] = ()
    preprocess: Preprocess | None = None
    postprocess: Postprocess | None = None
    description: str = ""
    guard: InputLimits | None = None
