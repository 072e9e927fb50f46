"""Samples one by one: what has a batch axis, what has none, and back."""

from __future__ import annotations

import numpy as np
import pytest

from converters.sources.base import alone, has_batch_axis, one_by_one
from edge_sdk.errors import ConversionError
from edge_sdk.spec import Signature, TensorSpec


def tensor(name, *shape):
    return TensorSpec(name=name, dtype="float32", shape=shape)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        (("batch", 3), True),
        ((1, 3), True),
        (("dim0",), True),
        ((1,), True),
        ((4, 3), False),
        ((15600,), False),
        ((), False),
    ],
)
def test_what_counts_as_a_batch_axis(shape, wanted):
    assert has_batch_axis(tensor("x", *shape)) is wanted


SIGNATURE = Signature(
    inputs=(tensor("image", "batch", 2), tensor("wave", 5), tensor("gain")),
    outputs=(tensor("probs", "batch", 3), tensor("frames", 4, 2), tensor("sum")),
)
INPUTS = {
    "image": np.arange(6, dtype=np.float32).reshape(3, 2),
    "wave": np.arange(15, dtype=np.float32).reshape(3, 5),
    "gain": np.arange(3, dtype=np.float32),
}


def test_a_sample_has_the_signature_s_own_shapes():
    sample = alone(INPUTS, SIGNATURE, 1)
    assert {name: array.shape for name, array in sample.items()} == {
        "image": (1, 2),
        "wave": (5,),
        "gain": (),
    }
    assert sample["gain"] == 1
    assert isinstance(sample["gain"], np.ndarray)


def test_answers_are_joined_along_their_first_axis():
    def run_one(sample):
        total = np.float32(sum(array.sum() for array in sample.values()))
        return {
            "probs": np.full((1, 3), total),
            "frames": np.full((4, 2), total),
            "sum": np.asarray(total),
        }

    joined = one_by_one(run_one, INPUTS, SIGNATURE)
    assert {name: array.shape for name, array in joined.items()} == {
        "probs": (3, 3),
        "frames": (3, 4, 2),
        "sum": (3,),
    }
    wanted = [sum(array[i].sum() for array in INPUTS.values()) for i in range(3)]
    np.testing.assert_allclose(joined["sum"], wanted)
    np.testing.assert_allclose(joined["frames"][:, 0, 0], wanted)


def test_an_output_whose_open_axis_is_no_batch_is_stacked():
    boxes = Signature(inputs=SIGNATURE.inputs, outputs=(tensor("boxes", "dim0", 4),))
    joined = one_by_one(lambda sample: {"boxes": np.zeros((7, 4))}, INPUTS, boxes)
    assert joined["boxes"].shape == (3, 7, 4)


def test_answers_of_different_lengths_cannot_be_joined():
    boxes = Signature(inputs=SIGNATURE.inputs, outputs=(tensor("boxes", "dim0", 4),))

    def run_one(sample):
        return {"boxes": np.zeros((int(sample["gain"]) + 1, 4))}

    with pytest.raises(ConversionError, match="'boxes' is of another length for each input"):
        one_by_one(run_one, INPUTS, boxes)
