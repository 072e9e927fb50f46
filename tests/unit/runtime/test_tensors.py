"""Between real numbers and an engine's integers: the arithmetic, for any numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge_sdk.errors import UsageError
from edge_sdk.runtime.tensors import Feed, dequantize, quantize, reading
from edge_sdk.spec import Quantization, TensorSpec

SCALES = st.floats(2**-13, 8, width=32)
REALS = arrays.arrays(np.float32, 16, elements=st.floats(-1e4, 1e4, width=32))
INTEGERS = [np.dtype(name) for name in ("int8", "uint8", "int16")]


@given(REALS, SCALES, st.integers(0, 100), st.sampled_from(INTEGERS))
def test_a_quantized_number_is_the_nearest_there_is(
    values: np.ndarray, scale: float, zero_point: int, dtype: np.dtype
) -> None:
    how = Quantization(scale=scale, zero_point=zero_point)
    back = dequantize(quantize(values, how, dtype), how)
    limits = np.iinfo(dtype)
    reach = np.clip(values, (limits.min - zero_point) * scale, (limits.max - zero_point) * scale)
    np.testing.assert_allclose(back, reach, atol=scale * 0.501 + 1e-3, rtol=1e-5)


@given(arrays.arrays(np.int8, 16), SCALES, st.integers(-128, 127))
def test_integers_survive_the_way_there_and_back(
    values: np.ndarray, scale: float, zero_point: int
) -> None:
    how = Quantization(scale=scale, zero_point=zero_point)
    again = quantize(dequantize(values, how), how, np.dtype(np.int8))
    np.testing.assert_array_equal(again, values)


def test_halves_go_to_the_even_neighbour() -> None:
    how = Quantization(scale=1.0, zero_point=0)
    values = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert quantize(values, how, np.dtype(np.int8)).tolist() == [-2, -2, 0, 0, 2, 2]


def spec(
    dtype: str, how: Quantization | None = None, shape: tuple[int | str, ...] = (2,)
) -> TensorSpec:
    return TensorSpec(name="x", dtype=dtype, shape=shape, quantization=how)  # type: ignore[arg-type]


def test_reading_of_what_is_already_right_is_nothing() -> None:
    assert reading(spec("float32"), spec("float32")) is None


def test_reading_quantized_integers() -> None:
    read = reading(spec("float32"), spec("int8", Quantization(scale=0.5, zero_point=-2)))
    assert read is not None
    found = read(np.int8([-2, 0]))
    assert found.dtype == np.float32
    assert found.tolist() == [0, 1]


def test_reading_another_precision() -> None:
    read = reading(spec("float32"), spec("float16"))
    assert read is not None
    assert read(np.float16([1, 2])).dtype == np.float32


def test_an_array_that_fits_is_not_copied() -> None:
    x = np.float32([1, 2])
    assert np.shares_memory(Feed(spec("float32"), spec("float32")).convert(x), x)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2)])
def test_odd_shapes_are_kept(shape: tuple[int, ...]) -> None:
    feed = Feed(spec("float32", shape=shape), spec("float32", shape=shape))
    assert feed.convert(np.ones(shape, np.float32)).shape == shape


def test_the_missing_batch_axis_is_guessed() -> None:
    feed = Feed(spec("float32", shape=(1, 2)), spec("float32", shape=(1, 2)))
    with pytest.raises(UsageError) as caught:
        feed.convert(np.float32([1, 2]))
    assert caught.value.hint == "Add the batch axis: x[None]"


def test_a_build_of_another_precision_takes_only_its_own() -> None:
    feed = Feed(spec("float32"), spec("float16"))
    assert feed.convert(np.float16([1, 2])).dtype == np.float16
    with pytest.raises(UsageError, match="takes float32 or float16"):
        feed.convert(np.float64([1, 2]))


def test_integers_of_another_width_are_cast_if_they_fit() -> None:
    feed = Feed(spec("int64"), spec("int32"))
    found = feed.convert(np.int64([-3, 2**31 - 1]))
    assert (found.dtype, found.tolist()) == (np.int32, [-3, 2**31 - 1])
    with pytest.raises(UsageError, match="numbers that int32 cannot hold"):
        feed.convert(np.int64([0, 2**31]))
    with pytest.raises(UsageError, match="takes int64 or int32"):
        feed.convert(np.float32([1, 2]))


def test_real_numbers_beyond_a_narrower_kind_are_refused() -> None:
    feed = Feed(spec("float32"), spec("float16"))
    found = feed.convert(np.float32([0.1, -65504]))
    assert found.dtype == np.float16
    np.testing.assert_array_equal(feed.convert(np.float32([np.inf, -np.inf])), [np.inf, -np.inf])
    with pytest.raises(UsageError, match="numbers that float16 cannot hold") as caught:
        feed.convert(np.float32([0, 1e6]))
    assert "float16" in caught.value.hint


def test_what_a_text_input_takes_is_said_in_pythons_words() -> None:
    feed = Feed(spec("string"), spec("string"))
    with pytest.raises(UsageError, match=r"dtype <U1; the model takes object \(of str\)") as caught:
        feed.convert(np.array(["a", "b"]))
    assert caught.value.hint == "x.astype(object)"
    assert feed.convert(np.array(["a", "b"], object)).tolist() == ["a", "b"]
