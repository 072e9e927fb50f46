from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edge_sdk.errors import UnavailableError, UsageError
from edge_sdk.processing import classify
from edge_sdk.processing.activation import activate, sigmoid, softmax
from edge_sdk.spec import Classification

scores = hnp.arrays(
    np.float32, st.integers(1, 40), elements=st.floats(-1e4, 1e4, width=32) | st.integers(-3, 3)
)


def spec(**fields) -> Classification:
    return Classification(output="scores", **fields)


@given(scores, st.integers(1, 50))
def test_the_best_come_first_and_equals_by_index(values, top):
    answer = classify(values[None], spec(top=top))
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:top]
    assert [found.index for found in answer.top] == expected
    assert [found.score for found in answer.top] == [float(values[i]) for i in expected]


@given(scores)
def test_softmax_is_a_distribution_in_the_scores_order(values):
    shares = softmax(values)
    assert shares.dtype == np.float32
    assert shares.sum() == pytest.approx(1, rel=1e-4)
    assert shares[values.argmax()] == shares.max()


@given(scores)
def test_sigmoid_is_the_textbooks_in_float64(values):
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-values.astype(np.float64)))
    assert sigmoid(values).dtype == np.float32
    np.testing.assert_allclose(sigmoid(values), expected, rtol=1e-6, atol=1e-37)


def test_clipping_at_100_as_mediapipe_does_changes_nothing():
    values = np.array([-np.inf, -1e30, -101, -100, 100, 101, 1e30, np.inf], np.float32)
    np.testing.assert_allclose(sigmoid(values), sigmoid(values.clip(-100, 100)), atol=1e-37)


def test_no_activation_only_makes_it_float32():
    assert activate(np.array([1, 2], np.float16), "none").dtype == np.float32


@pytest.mark.parametrize("shape", [(3,), (1, 3), (1, 1, 1, 3)])
def test_labels_name_the_classes_and_without_any_the_index_does(shape):
    values = np.array([0.1, 0.7, 0.2], np.float32).reshape(shape)
    answer = classify(values, spec(top=2), ("cat", "dog", "bird"))
    assert [found.label for found in answer.top] == ["dog", "bird"]
    assert str(answer) == "dog 0.70, bird 0.20"
    assert [found.label for found in classify(values, spec(top=1)).top] == ["1"]


def test_activations_give_probabilities():
    values = np.array([[0.0, np.log(3)]], np.float32)
    assert classify(values, spec(activation="softmax")).top[0].score == pytest.approx(0.75)
    assert classify(values, spec(activation="sigmoid")).top[0].score == pytest.approx(0.75)


@pytest.mark.parametrize("shape", [(), (2, 3), (3, 1), (1, 0)])
def test_scores_of_more_than_one_picture_are_refused(shape):
    with pytest.raises(UsageError, match="scores"):
        classify(np.zeros(shape, np.float32), spec())


@pytest.mark.parametrize("activation", ["none", "softmax", "sigmoid"])
def test_an_answer_that_is_no_number_is_an_error_and_no_answer(activation):
    values = np.array([0.1, np.nan, 0.2], np.float32)
    with pytest.raises(UnavailableError, match="NaN"):
        classify(values, spec(activation=activation, top=1))
