"""When two answers mean the same."""

import numpy as np
import pytest

from device_agent.shadow import agree, overlap
from edge_sdk.spec import Box, Boxes, Classes, ClassScore


def classes(*labels: str, score: float = 0.5) -> Classes:
    return Classes(
        top=tuple(ClassScore(index=i, label=label, score=score) for i, label in enumerate(labels))
    )


def box(left: float, top: float, size: float = 0.2, label: str = "face", score: float = 0.9) -> Box:
    return Box(
        left=left,
        top=top,
        right=left + size,
        bottom=top + size,
        score=score,
        index=0,
        label=label,
    )


def boxes(*found: Box) -> Boxes:
    return Boxes(found=found)


def test_of_classes_only_the_likeliest_counts() -> None:
    assert agree(classes("cat", "dog"), classes("cat", "cow", score=0.9))
    assert not agree(classes("cat", "dog"), classes("dog", "cat"))


@pytest.mark.parametrize(
    ("candidate", "same"),
    [
        (boxes(box(0.1, 0.1), box(0.6, 0.6)), True),
        (boxes(box(0.6, 0.6), box(0.1, 0.1)), True),
        (boxes(box(0.12, 0.11), box(0.6, 0.62)), True),
        (boxes(box(0.1, 0.1)), False),
        (boxes(box(0.1, 0.1), box(0.6, 0.6), box(0.4, 0.4)), False),
        (boxes(box(0.1, 0.1), box(0.3, 0.6)), False),
        (boxes(box(0.1, 0.1), box(0.1, 0.1)), False),
        (boxes(box(0.1, 0.1), box(0.6, 0.6, label="cat")), False),
    ],
)
def test_of_boxes_every_object_finds_its_own(candidate: Boxes, same: bool) -> None:
    assert agree(boxes(box(0.1, 0.1), box(0.6, 0.6)), candidate) is same


def test_nothing_found_twice_is_agreement() -> None:
    assert agree(boxes(), boxes())
    assert not agree(boxes(), boxes(box(0.1, 0.1)))


def test_overlap_by_hand() -> None:
    assert overlap(box(0, 0, 1), box(0, 0, 1)) == 1
    assert overlap(box(0, 0, 1), box(0.5, 0, 1)) == pytest.approx(1 / 3)
    assert overlap(box(0, 0, 0.1), box(0.5, 0.5, 0.1)) == 0


@pytest.mark.parametrize(
    ("candidate", "same"),
    [
        ({"y": np.array([1.0, 2.05])}, True),
        ({"y": np.array([1.0, 3.0])}, False),
        ({"y": np.array([1.0, np.nan])}, False),
        ({"y": np.array([[1.0, 2.0]])}, False),
        ({"z": np.array([1.0, 2.0])}, False),
        ({"y": np.array([1, 2], np.int8)}, True),
    ],
)
def test_undeclared_outputs_are_compared_as_numbers(candidate, same: bool) -> None:
    assert agree({"y": np.array([1.0, 2.0])}, candidate) is same


def test_whatever_has_no_order_must_be_equal() -> None:
    assert agree({"y": np.array([True, False])}, {"y": np.array([True, False])})
    assert not agree({"y": np.array([True, False])}, {"y": np.array([True, True])})


def test_answers_of_two_kinds_never_agree() -> None:
    assert not agree(classes("cat"), boxes())
