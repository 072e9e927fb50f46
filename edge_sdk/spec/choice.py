"""Which variant of an artifact a machine should run. Pure: asks for the engines' names only.

The agent chooses before it downloads, without an engine in its process; ``edge_sdk.load`` chooses
among the files that are there. Both ask here, so that what was downloaded is what is run.
"""

from __future__ import annotations

from collections.abc import Collection

from edge_sdk.spec.manifest import Manifest, Variant

PREFERENCE = ("int8", "fp16", "fp32", "int8-weights", "int8-dynamic")
"""Recipes by speed on a small CPU, fastest first: integer kernels take a third of the time of float
ones; weights that must be widened on the way cost more than they save."""


STAND_INS = {"litert-compiled": "litert", "tflite-runtime": "litert", "tensorflow": "litert"}
"""Engines that run whatever another one runs: manifests name only that one."""


def runs(engine: str, variant: Variant) -> bool:
    """Whether an engine, by backend name, runs a variant."""
    return engine in variant.backends or STAND_INS.get(engine) in variant.backends


def by_preference(variants: Collection[Variant]) -> list[Variant]:
    """Variants, fastest on a small CPU first; equals stay in the manifest's order."""
    return sorted(variants, key=_rank)


def choose_variant(manifest: Manifest, engines: Collection[str]) -> Variant | None:
    """The variant to run on a machine with these engines (by backend name); None if none fits."""
    fits = [v for v in manifest.variants if any(runs(name, v) for name in engines)]
    return next(iter(by_preference(fits)), None)


def _rank(variant: Variant) -> int:
    known = variant.recipe in PREFERENCE
    return PREFERENCE.index(variant.recipe) if known else len(PREFERENCE)
