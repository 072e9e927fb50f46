"""What a Core ML model's inputs and outputs are called in the model it was made from.

Core ML's names are identifiers, some words are taken, and it has no tensor without axes. So
``save_infer_model/scale_0.tmp_1`` becomes ``save_infer_model_scale_0_tmp_1``, ``state`` becomes
``state_``, and a single number a row of one. Where anything differs, the package says so itself, in
its user-defined metadata; whoever runs it by us keeps speaking in the source's terms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from edge_sdk.spec import TensorSpec
from edge_sdk.spec.word import Word

KEY = "edgeloop.terms"
"""Of the user-defined metadata."""

TAKEN = frozenset(
    ["any", "bool", "dict", "false", "func", "list", "program", "state", "string", "tensor"]
    + ["true", "tuple", "bf16", "fp16", "fp32", "fp64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
"""Words of Core ML's own program text; coremltools avoids the same ones."""


class Terms(Word, frozen=True, kw_only=True):
    """One input or output in the source's terms.

    Attributes:
        name: the source's.
        scalar: whether it has no axes there, and one of length 1 in Core ML.
    """

    name: str
    scalar: bool = False


def terms_of(tensors: Iterable[TensorSpec]) -> dict[str, Terms]:
    """By Core ML's name, in order; each name is given once."""
    found: dict[str, Terms] = {}
    for tensor in tensors:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", tensor.name)
        plain = f"_{plain}" if not plain or plain[0].isdigit() else plain
        plain = f"{plain}_" if plain in TAKEN else plain
        name, number = plain, 1
        while name in found:
            number += 1
            name = f"{plain}_{number}"
        found[name] = Terms(name=tensor.name, scalar=not tensor.shape)
    return found


def metadata_of(terms: Mapping[str, Terms]) -> str:
    """What the package is to say of itself; empty where nothing differs."""
    other = {name: t for name, t in terms.items() if t.name != name or t.scalar}
    return msgspec.json.encode(other, order="sorted").decode() if other else ""


def terms_in(metadata: Mapping[str, str]) -> dict[str, Terms]:
    """What a package says of itself; nothing where it says nothing that we wrote."""
    try:
        return msgspec.json.decode(metadata.get(KEY, "{}"), type=dict[str, Terms])
    except msgspec.DecodeError:
        return {}


def in_terms(tensor: TensorSpec, terms: Mapping[str, Terms]) -> TensorSpec:
    """An input or output of the Core ML model, as the source calls and shapes it."""
    found = terms.get(tensor.name)
    if found is None:
        return tensor
    shape = () if found.scalar else tensor.shape
    return TensorSpec(name=found.name, dtype=tensor.dtype, shape=shape)
