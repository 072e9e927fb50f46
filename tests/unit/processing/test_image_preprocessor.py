from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing import ImagePreprocessor, quantize
from edge_sdk.processing.picture import luma
from edge_sdk.spec import ImageInput, Quantization, TensorSpec

EVERY_BYTE = np.arange(256, dtype=np.uint8).reshape(16, 16)
EVERY_COLOUR = np.stack([EVERY_BYTE, EVERY_BYTE[::-1], EVERY_BYTE.T], axis=-1)
RANDOM = np.random.default_rng(1)

means = st.floats(0, 255, width=32)
stds = st.floats(0.5, 300, width=32)
layouts = st.sampled_from(["hwc", "chw"])
quantizations = st.tuples(
    st.sampled_from(["int8", "uint8", "int16"]),
    st.builds(Quantization, scale=st.floats(2**-10, 8, width=32), zero_point=st.integers(0, 127)),
)
SHAPES = {"hwc": (1, 16, 16, 3), "chw": (1, 3, 16, 16)}


def per_channel(numbers):
    return st.lists(numbers, min_size=1, max_size=1).map(tuple) | st.tuples(*[numbers] * 3)


def tensor(shape=(1, 16, 16, 3), dtype="float32", quantization=None) -> TensorSpec:
    return TensorSpec(name="image", dtype=dtype, shape=shape, quantization=quantization)


def image(**fields) -> ImageInput:
    return ImageInput(**{"input": "image", "size": (16, 16), **fields})


def real(picture, mean, std):
    return (picture.astype(np.float32) - np.float32(mean)) / np.float32(std)


def laid_out(pixels, layout):
    return pixels if layout == "hwc" else pixels.transpose(2, 0, 1)


@given(per_channel(means), per_channel(stds), layouts)
def test_floats_are_byte_minus_mean_over_std_to_the_bit(mean, std, layout):
    spec = image(mean=mean, std=std, layout=layout)
    prepared, _ = ImagePreprocessor(spec, tensor(SHAPES[layout])).prepare(EVERY_COLOUR)
    assert prepared.dtype == np.float32 and prepared.flags.c_contiguous
    assert np.array_equal(prepared[0], laid_out(real(EVERY_COLOUR, mean, std), layout))


@given(per_channel(means), stds, quantizations, layouts)
def test_a_table_is_the_arithmetic_for_every_byte(mean, std, quantization, layout):
    dtype, how = quantization
    preprocessor = ImagePreprocessor(
        image(mean=mean, std=(std,), layout=layout), tensor(SHAPES[layout], dtype, how)
    )
    prepared, _ = preprocessor.prepare(EVERY_COLOUR)
    limits = np.iinfo(dtype)
    steps = np.rint(real(EVERY_COLOUR, mean, std) / np.float32(how.scale))
    steps += np.float32(how.zero_point)
    expected = np.clip(steps, limits.min, limits.max).astype(dtype)
    assert prepared.dtype == dtype and prepared.flags.c_contiguous and prepared.flags.writeable
    assert np.array_equal(prepared[0], laid_out(expected, layout))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_are_float32_converted(dtype):
    prepared, _ = ImagePreprocessor(image(), tensor(dtype=dtype)).prepare(EVERY_COLOUR)
    assert prepared.dtype == dtype
    assert np.array_equal(prepared[0], real(EVERY_COLOUR, 0, 255).astype(dtype))


def test_halves_go_to_the_even_integer_and_the_rest_is_clipped():
    how = Quantization(scale=2.0, zero_point=0)
    values = np.array([1, 3, 5, -1, -3, 1e6, -1e6], np.float32)
    assert quantize(values, how, "int8").tolist() == [0, 2, 2, 0, -2, 127, -128]


def test_the_commonest_int8_input_is_the_byte_less_128():
    how = Quantization(scale=1 / 255, zero_point=-128)
    prepared, _ = ImagePreprocessor(image(), tensor(dtype="int8", quantization=how)).prepare(
        EVERY_COLOUR
    )
    assert np.array_equal(prepared[0], EVERY_COLOUR.astype(np.int16) - 128)


def test_integers_without_quantization_take_the_bytes_themselves():
    spec = image(mean=(0.0,), std=(1.0,))
    prepared, _ = ImagePreprocessor(spec, tensor(dtype="uint8")).prepare(EVERY_COLOUR)
    assert np.array_equal(prepared[0], EVERY_COLOUR)


def test_what_was_prepared_does_not_share_memory_with_the_picture():
    picture = EVERY_COLOUR.copy()
    spec = image(mean=(0.0,), std=(1.0,))
    prepared, _ = ImagePreprocessor(spec, tensor(dtype="uint8")).prepare(picture)
    picture[:] = 0
    assert np.array_equal(prepared[0], EVERY_COLOUR)


def test_blue_comes_first_where_the_model_wants_it_so():
    spec = image(channels="bgr", mean=(1.0, 2.0, 3.0), std=(1.0,))
    prepared, _ = ImagePreprocessor(spec, tensor()).prepare(EVERY_COLOUR)
    assert np.array_equal(prepared[0], real(EVERY_COLOUR[..., ::-1], [1, 2, 3], 1))


@pytest.mark.parametrize("shape", [(1, 16, 16, 1), (1, 16, 16), ("batch", 16, 16, 1)])
def test_gray_comes_with_or_without_its_axis(shape):
    preprocessor = ImagePreprocessor(image(channels="gray"), tensor(shape))
    from_gray, _ = preprocessor.prepare(EVERY_BYTE)
    from_colour, _ = preprocessor.prepare(EVERY_COLOUR)
    assert from_gray.shape == (1, *shape[1:])
    assert np.array_equal(from_gray.reshape(16, 16), real(EVERY_BYTE, 0, 255))
    expected = cv2.cvtColor(EVERY_COLOUR, cv2.COLOR_RGB2GRAY)
    assert np.array_equal(from_colour.reshape(16, 16), real(expected, 0, 255))


def test_our_gray_is_opencvs_gray():
    picture = RANDOM.integers(0, 256, (300, 400, 3), np.uint8)
    assert np.array_equal(luma(picture), cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))


def test_a_gray_picture_becomes_three_equal_channels():
    prepared, _ = ImagePreprocessor(image(), tensor()).prepare(EVERY_BYTE)
    assert np.array_equal(prepared[0], real(np.stack([EVERY_BYTE] * 3, axis=-1), 0, 255))


def test_a_letterbox_pads_with_zero_bytes_and_knows_the_way_back():
    picture = np.full((20, 40, 3), 255, np.uint8)
    spec = image(resize="letterbox", mean=(127.5,), std=(127.5,))
    prepared, geometry = ImagePreprocessor(spec, tensor()).prepare(picture)
    assert (prepared[0, 4:12] == 1).all()
    assert (prepared[0, :4] == -1).all() and (prepared[0, 12:] == -1).all()
    assert 0.25 * geometry.scale_y + geometry.shift_y == pytest.approx(0)
    assert 0.75 * geometry.scale_y + geometry.shift_y == pytest.approx(1)


def test_a_crop_cuts_the_longer_side():
    picture = np.zeros((16, 48, 3), np.uint8)
    picture[:, 16:32] = EVERY_COLOUR
    prepared, geometry = ImagePreprocessor(image(resize="crop"), tensor()).prepare(picture)
    assert np.array_equal(prepared[0], real(EVERY_COLOUR, 0, 255))
    assert (geometry.scale_x, geometry.shift_x) == pytest.approx((1 / 3, 1 / 3))


@pytest.mark.parametrize(
    ("interpolation", "mode"),
    [("nearest", cv2.INTER_NEAREST), ("bilinear", cv2.INTER_LINEAR), ("area", cv2.INTER_AREA)],
)
def test_resampling_is_opencvs(interpolation, mode):
    picture = RANDOM.integers(0, 256, (61, 47, 3), np.uint8)
    prepared, _ = ImagePreprocessor(image(interpolation=interpolation), tensor()).prepare(picture)
    expected = cv2.resize(picture, (16, 16), interpolation=mode)
    assert np.array_equal(prepared[0], real(expected, 0, 255))


def test_a_view_of_a_larger_picture_is_taken_as_it_looks():
    large = RANDOM.integers(0, 256, (64, 64, 3), np.uint8)
    view = large[8:40:2, 40:8:-2, ::-1]
    prepared, _ = ImagePreprocessor(image(), tensor()).prepare(view)
    assert np.array_equal(prepared[0], real(view, 0, 255))


def test_pictures_of_changing_sizes_get_their_own_geometry():
    preprocessor = ImagePreprocessor(image(resize="letterbox"), tensor())
    wide, high = np.zeros((10, 20, 3), np.uint8), np.zeros((20, 10, 3), np.uint8)
    geometries = [preprocessor.prepare(picture)[1] for picture in (wide, high, wide)]
    assert geometries[0] == geometries[2] != geometries[1]


def test_the_right_size_needs_no_opencv_and_another_size_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)  # as if it were not installed
    preprocessor = ImagePreprocessor(image(resize="letterbox"), tensor())
    assert preprocessor.prepare(EVERY_COLOUR)[0].shape == (1, 16, 16, 3)
    assert preprocessor.prepare(EVERY_COLOUR[:10])[0].shape == (1, 16, 16, 3)
    with pytest.raises(UnavailableError) as caught:
        preprocessor.prepare(np.zeros((20, 20, 3), np.uint8))
    assert caught.value.hint == "pip install 'edgeloop[vision]'"


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("picture.png", "not str"),
        ({"image": EVERY_COLOUR}, "not dict"),
        (EVERY_COLOUR.astype(np.float32), "float32"),
        (EVERY_COLOUR[None], "1 x 16 x 16 x 3"),
        (np.zeros((16, 16, 4), np.uint8), "16 x 16 x 4"),
        (np.zeros(16, np.uint8), "not 16"),
        (np.asarray(3, np.uint8), "a single number"),
        (np.zeros((0, 16, 3), np.uint8), "empty"),
    ],
)
def test_what_is_no_picture_is_refused(frame, said):
    preprocessor = ImagePreprocessor(image(), tensor())
    with pytest.raises(UsageError) as caught:
        preprocessor.prepare(frame)
    assert said in caught.value.message and caught.value.hint


@pytest.mark.parametrize(
    ("fields", "spec", "said"),
    [
        ({"size": (0, 16)}, tensor(), "size"),
        ({"size": (32, 32)}, tensor(), "1x32x32x3"),
        ({"layout": "chw"}, tensor(), "1x3x16x16"),
        ({"channels": "gray"}, tensor(), "1x16x16x1"),
        ({}, tensor((1, 16, 16)), "1x16x16x3"),
        ({}, tensor((8, 16, 16, 3)), "8x16x16x3"),
        ({}, tensor(dtype="string"), "string"),
        ({}, tensor(dtype="int4"), "int4"),
        ({"mean": (1.0, 2.0)}, tensor(), "mean"),
        ({"mean": ()}, tensor(), "mean"),
        ({"mean": (float("nan"),)}, tensor(), "mean"),
        ({"std": (1.0, 0.0, 1.0)}, tensor(), "std"),
    ],
)
def test_a_declaration_that_does_not_fit_the_model_is_refused(fields, spec, said):
    with pytest.raises(UsageError) as caught:
        ImagePreprocessor(image(**fields), spec)
    assert said in caught.value.message and caught.value.hint
