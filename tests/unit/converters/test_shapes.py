from __future__ import annotations

import pytest

from converters.sources.shapes import check_known, fixed_shape, with_shape
from edge_sdk.errors import UsageError
from edge_sdk.spec import TensorSpec

OPEN = TensorSpec(name="image", dtype="float32", shape=("batch", "dim1", "dim2", 3))


def test_lengths_fill_open_axes_and_a_batch_of_one_stays_free():
    fixed = with_shape(OPEN, {"image": (1, 8, 6, 3)})
    assert fixed.shape == ("batch", 8, 6, 3)
    assert fixed_shape(fixed) == (1, 8, 6, 3)
    assert with_shape(OPEN, {"image": (4, 8, 6, 3)}).shape == (4, 8, 6, 3)


def test_an_input_that_is_not_named_stays_as_it_is():
    assert with_shape(OPEN, {"other": (1,)}) is OPEN


@pytest.mark.parametrize("shape", [(8, 6, 3), (1, 8, 6, 4), (1, 8, 6, 3, 1), ()])
def test_a_shape_that_does_not_fit(shape):
    with pytest.raises(UsageError, match="does not fit image: float32") as error:
        with_shape(OPEN, {"image": shape})
    assert "--input image:1x320x320x3" in error.value.hint


def test_an_open_axis_asks_for_its_length():
    with pytest.raises(UsageError, match=r"without a length \(dim1\)") as error:
        fixed_shape(OPEN)
    assert error.value.hint == "Fix it: --input image:1x320x320x3"


def test_an_input_that_there_is_not():
    check_known({"image": (1,)}, ["image", "mask"])
    with pytest.raises(UsageError, match="no input 'imag'") as error:
        check_known({"imag": (1,)}, ["image", "mask"])
    assert error.value.hint == "Did you mean 'image'?"
