from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from converters.parity import QUIET, Tally, compare, judge
from converters.recipe import RECIPES
from converters.samples import read_samples
from converters.scores import scores_output
from edge_sdk.errors import ConversionError, UsageError
from edge_sdk.spec import Classification, Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec(name="x", dtype="float32", shape=("batch", 2)),),
    outputs=(TensorSpec(name="p", dtype="float32", shape=("batch", 3)),),
)
FINITE = st.floats(-1e6, 1e6, width=32)


@dataclass
class Engine:
    """Answers as a function says; implements both seams, ``Source`` and ``Runner``."""

    answer: object
    signature: Signature = SIGNATURE
    checked_by: str = "engine 1"
    unchecked_ops: tuple[str, ...] = ()
    batches: list[int] = field(default_factory=list)

    def run(self, inputs):
        self.batches.append(len(inputs["x"]))
        return {"p": self.answer(inputs["x"])}


def agreement(tally, on="evaluation"):
    return tally.agreement(on, Engine(None))


def tallied(expected, found, scores="p", labels=None):
    tally = Tally(scores)
    tally.add({"p": np.asarray(expected)}, {"p": np.asarray(found)}, labels)
    return tally


# The sums


def test_a_sample_of_which_next_to_nothing_is_said_is_not_judged_by_its_rounding():
    page, empty = np.array([0.9, 0.0, 0.8]), np.array([1e-6, 0.0, 0.0])
    other = np.array([0.0, 2e-6, 0.0])
    assert agreement(tallied([page, empty], [page, other])).cosine == pytest.approx(1.0)
    # Alone it is all there is to go by; and an answer out of nothing is none of it.
    assert agreement(tallied([empty], [other])).cosine == 0.0
    assert agreement(tallied([page, empty], [page, page])).cosine < 0.9
    assert agreement(tallied([page, empty], [page, [np.nan, 0.0, 0.0]])).cosine <= 0.5


def winner(row):
    """A single score says yes or no."""
    return row.argmax() if row.size > 1 else int(row[0] > 0.5)


@given(st.data())
def test_the_sums_are_what_the_definitions_say(data):
    shape = data.draw(array_shapes(min_dims=2, max_dims=3, max_side=5))
    a = data.draw(arrays(np.float32, shape, elements=FINITE))
    b = data.draw(arrays(np.float32, shape, elements=FINITE))
    labels = data.draw(arrays(np.int64, shape[0], elements=st.integers(0, 4)))
    cuts = data.draw(st.integers(0, shape[0]))
    tally = Tally("p")
    for part in (slice(0, cuts), slice(cuts, None)):
        if len(a[part]):
            tally.add({"p": a[part]}, {"p": b[part]}, labels[part])
    found = agreement(tally)

    rows_a = [row.astype(np.float64).ravel() for row in a]
    rows_b = [row.astype(np.float64).ravel() for row in b]
    gaps = [abs(x - y) for p, q in zip(rows_a, rows_b, strict=True) for x, y in zip(p, q)]  # noqa: B905
    assert found.samples == shape[0]
    assert found.max_difference == max(gaps)
    assert found.mean_difference == pytest.approx(math.fsum(gaps) / len(gaps))
    least = QUIET * math.sqrt(np.mean([np.square(row).sum() for row in rows_a]))
    similar = [
        1.0 if max(np.linalg.norm(p), np.linalg.norm(p - q)) <= least else cosine(p, q)
        for p, q in zip(rows_a, rows_b, strict=True)
    ]
    assert found.cosine == pytest.approx(np.mean(similar), abs=1e-9)
    winners_a, winners_b = list(map(winner, rows_a)), list(map(winner, rows_b))
    assert found.argmax == np.mean(np.equal(winners_a, winners_b))
    assert found.accuracy == np.mean(np.equal(winners_b, labels))
    assert found.source_accuracy == np.mean(np.equal(winners_a, labels))
    power = sum(float(row @ row) for row in rows_a) + 1e-12 * a.size
    wanted = math.sqrt(math.fsum(gap * gap for gap in gaps) / power)
    assert tally.relative_error == pytest.approx(wanted)


def cosine(a, b):
    if (a == b).all():
        return 1.0
    lengths = math.sqrt(a @ a) * math.sqrt(b @ b)
    return float(a @ b) / lengths if lengths > 0 else 0.0


@given(arrays(np.float32, array_shapes(min_dims=1, max_dims=3, max_side=4)))
def test_a_perfect_copy_is_perfect_whatever_it_holds(a):
    tally = tallied(a, a.copy(), scores=None)
    assert tally.relative_error == 0
    assert agreement(tally).max_difference == 0
    assert agreement(tally).cosine == pytest.approx(1)
    assert judge(tally, agreement(tally), RECIPES["fp32"]) == ()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_how_samples_are_cut_into_batches_changes_nothing(sizes):
    rng = np.random.default_rng(sum(sizes))
    a, b = rng.random((2, sum(sizes), 3))
    tally, start = Tally("p"), 0
    for size in sizes:
        tally.add({"p": a[start : start + size]}, {"p": b[start : start + size]})
        start += size
    whole = tallied(a, b)
    assert agreement(tally).cosine == pytest.approx(agreement(whole).cosine)
    assert agreement(tally).argmax == agreement(whole).argmax
    assert tally.relative_error == pytest.approx(whole.relative_error)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_infinitely_wrong(bad):
    tally = tallied([[1.0, 2.0]], [[1.0, bad]])
    assert agreement(tally).max_difference == math.inf
    assert tally.relative_error == math.inf
    assert judge(tally, agreement(tally), RECIPES["int8"])


def test_a_nan_that_the_original_has_too_is_no_difference():
    same = [[1.0, np.nan, np.inf, -np.inf]]
    tally = tallied(same, same)
    assert agreement(tally).max_difference == 0
    assert tally.relative_error == 0
    other = tallied([[np.inf, 1.0]], [[-np.inf, 1.0]])
    assert agreement(other).max_difference == math.inf


def test_a_cosine_is_of_what_is_finite():
    log_zero = [[-np.inf, 3.0, 4.0]]
    assert agreement(tallied(log_zero, [[-np.inf, 4.0, 3.0]])).cosine == pytest.approx(24 / 25)
    assert agreement(tallied(log_zero, [[np.inf, 3.0, 4.0]])).cosine == 0
    assert agreement(tallied(log_zero, [[0.0, 3.0, 4.0]])).cosine == 0


def test_an_infinity_of_the_original_hides_nothing_beside_it():
    tally = tallied([[np.inf, 1.0, 1.0]], [[np.inf, 2.0, 1.0]])
    assert tally.relative_error == pytest.approx(math.sqrt(1 / 2))


def test_zeros_are_like_zeros_and_like_nothing_else():
    zeros, ones = np.zeros((4, 3)), np.ones((4, 3))
    assert agreement(tallied(zeros, zeros)).cosine == 1
    assert agreement(tallied(zeros, ones)).cosine == 0
    assert agreement(tallied(ones, zeros)).cosine == 0
    assert tallied(zeros, zeros + 1e-9).relative_error < 1e-2
    assert tallied(zeros, zeros + 1e-3).relative_error > 1


def test_complex_numbers_are_compared_in_both_parts():
    tally = tallied(np.array([[1 + 1j]]), np.array([[1 - 1j]]), scores=None)
    assert agreement(tally).max_difference == 2
    assert agreement(tally).cosine == pytest.approx(0)


def test_the_worst_output_counts():
    tally = Tally(None)
    good, bad = np.ones((2, 100)), np.ones((2, 1))
    tally.add({"good": good, "bad": bad}, {"good": good, "bad": bad * 2})
    assert tally.relative_error == pytest.approx(1, abs=1e-6)


def test_without_samples_there_are_no_numbers():
    found = Tally("p").agreement("random", Engine(None, unchecked_ops=("lstm",)))
    assert (found.samples, found.cosine, found.argmax, found.accuracy) == (0, None, None, None)
    assert found.unchecked_ops == ("lstm",)
    assert judge(Tally("p"), found, RECIPES["fp32"]) == ()


# The verdict


def verdict(expected, found, recipe, *, on="evaluation", labels=None, scores="p"):
    tally = tallied(expected, found, scores, labels)
    return [s.limit for s in judge(tally, agreement(tally, on), RECIPES[recipe])]


SCORES = np.random.default_rng(0).random((1000, 4))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_factor_is_seen_though_no_cosine_sees_it(recipe):
    assert verdict(SCORES, SCORES * 2, recipe) == ["relative error"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_single_number_is_seen_though_its_cosine_is_always_one(recipe):
    single = SCORES[:, :1]
    assert verdict(single, single[::-1], recipe, scores=None) == ["relative error"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_swapped_classes_are_seen(recipe):
    peaks = np.eye(4)[np.arange(1000) % 4]
    assert "cosine similarity" in verdict(peaks, peaks[:, [1, 0, 2, 3]], recipe)


def test_one_in_a_thousand_may_change_its_mind_and_two_may_not():
    base = np.tile([1.0, 1.0 - 1e-9], (1000, 1))
    one, two = base.copy(), base.copy()
    one[:1] = one[:1, ::-1]
    two[:2] = two[:2, ::-1]
    assert verdict(base, one, "fp32") == []
    assert verdict(base, two, "fp32") == ["argmax agreement"]
    assert verdict(base, two, "fp32", on="random") == []
    assert verdict(base, two, "int8") == []


def test_lost_accuracy():
    labels = np.zeros(1000, np.int64)
    base = np.tile([1.0, 1.0 - 1e-9], (1000, 1))
    some, more = base.copy(), base.copy()
    some[:20] = some[:20, ::-1]
    more[:21] = more[:21, ::-1]
    assert verdict(base, some, "int8", labels=labels) == []
    assert verdict(base, more, "int8", labels=labels) == ["accuracy drop"]
    assert verdict(base, more, "int8") == []


def test_gained_accuracy_is_no_fault():
    labels = np.ones(1000, np.int64)
    base = np.tile([1.0, 1.0 - 1e-9], (1000, 1))
    assert verdict(base, base[:, ::-1], "int8", labels=labels) == []


def test_a_shortfall_says_the_number_and_the_limit():
    tally = tallied(SCORES, SCORES * 2)
    (shortfall,) = judge(tally, agreement(tally), RECIPES["int8"])
    assert str(shortfall).startswith("relative error is 1.99")
    assert str(shortfall).endswith(", and must be 0.4")


def test_an_answer_that_hardly_varies_is_held_to_what_varies_in_it():
    """100.1, 100.2, …: by its size alone, a build that lost all of it would be near enough."""
    base = 100 + SCORES / 10
    lost = np.full_like(base, 100.05)
    assert tallied(base, lost, scores=None).relative_error < 1e-3
    for recipe in RECIPES:
        assert verdict(base, lost, recipe, scores=None) == ["relative error"]


# One pass over the data


def samples(count=600, labels=None):
    x = np.random.default_rng(1).random((count, 2)).astype(np.float32)
    return read_samples({"x": x} if labels is None else {"x": x, "y": labels}, SIGNATURE)


def spread(x):
    return np.stack([x[:, 0], x[:, 1], 1 - x[:, 0]], axis=1)


def test_the_original_runs_once_and_every_variant_on_the_same_samples():
    source, good, bad = Engine(spread), Engine(spread), Engine(lambda x: spread(x)[:, ::-1])
    done = []
    tallies, failures = compare(source, {"good": good, "bad": bad}, samples(600), "p", done.append)
    assert source.batches == good.batches == bad.batches == [256, 256, 88]
    assert done == [256, 512, 600]
    assert failures == {}
    assert tallies["good"].relative_error == 0
    assert tallies["bad"].relative_error > 0.1


def test_labels_go_with_their_samples():
    labels = np.arange(600) % 3
    right = Engine(spread)
    tallies, _ = compare(right, {"v": right}, samples(600, labels), "p", lambda done: None)
    wanted = np.mean(spread(samples(600).read(0, 600)["x"]).argmax(axis=1) == labels)
    assert agreement(tallies["v"]).source_accuracy == pytest.approx(wanted)


def test_one_that_fails_does_not_stop_the_others():
    def fails_late(x):
        if len(x) < 256:
            raise UsageError("no kernel for 88")
        return spread(x)

    engines = {"good": Engine(spread), "bad": Engine(fails_late)}
    tallies, failures = compare(Engine(spread), engines, samples(600), "p", lambda done: None)
    assert failures == {"bad": "it does not run: no kernel for 88"}
    assert tallies["good"].samples == 600


def test_the_original_s_failure_is_the_end():
    def fails(x):
        raise ConversionError("Running m failed")

    with pytest.raises(ConversionError):
        compare(Engine(fails), {"v": Engine(spread)}, samples(4), "p", lambda done: None)


def test_other_shapes_are_not_compared_as_if_they_were_the_same():
    flat = Engine(lambda x: spread(x)[:, :, None])
    wide = Engine(lambda x: np.concatenate([spread(x)] * 2, axis=1))
    _, failures = compare(
        Engine(spread), {"flat": flat, "wide": wide}, samples(4), "p", lambda done: None
    )
    assert failures == {
        "flat": "for a sample it answers 'p' as 3x1, the original as 3",
        "wide": "for a sample it answers 'p' as 6, the original as 3",
    }


def test_without_variants_nothing_runs():
    source = Engine(spread)
    assert compare(source, {}, samples(4), "p", lambda done: None) == ({}, {})
    assert source.batches == []


# Where the answer stands


def outputs(*shapes):
    tensors = [TensorSpec(name=f"o{i}", dtype="float32", shape=s) for i, s in enumerate(shapes)]
    return Signature(inputs=SIGNATURE.inputs, outputs=tuple(tensors))


@pytest.mark.parametrize(
    ("shapes", "wanted"),
    [
        ([("batch", 10)], "o0"),
        ([(1, 10)], "o0"),
        ([("batch", 10), ("batch", 4, 4)], "o0"),
        ([("batch", 10), ("batch", 2)], None),
        ([("batch", 1)], None),
        ([("batch", 4, 4)], None),
        ([("batch",)], None),
        ([("batch", "dim1")], "o0"),
    ],
)
def test_the_only_vector_of_scores(shapes, wanted):
    assert scores_output(outputs(*shapes), None) == wanted


def test_a_declared_classification_has_the_last_word():
    both = outputs(("batch", 10), ("batch", 2))
    assert scores_output(both, Classification(output="o1")) == "o1"
