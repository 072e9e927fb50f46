"""The rules of benchmarks/_wake_word_rules.py: the published one is WakeWord's, the rest count."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import _wake_rules as rules
from benchmarks._wake_word_rules import Network, joined, mean_published, times_said
from edge_sdk.voice.audio import RATE_HZ
from edge_sdk.voice.published import PUBLISHED
from edge_sdk.voice.wake import WakeWord
from examples.assets import asset
from tests.spoken import heard, speak


@pytest.mark.parametrize("word", ["okay_nabu", "hey_mycroft"])
def test_the_published_rule_is_what_wake_word_does(word, tmp_path) -> None:
    spoken = heard(speak(word.replace("_", " "), tmp_path / "word.wav", "en-gb"))
    sound = np.concatenate([np.zeros(8000, np.int16), spoken, np.zeros(16_000, np.int16)])
    answers, times = Network(word).answers(sound)
    first = np.flatnonzero(mean_published(word)(answers[0]))[0]
    with WakeWord(asset("wake-words") / f"{word}.tflite") as ears:
        (wake,) = ears.hear(sound)
    assert wake.time_s == round(int(times[0][first]) / RATE_HZ, 2)
    assert PUBLISHED[word].threshold < wake.score


ANSWERS = np.array([0, 0.2, 0.9, 0.9, 0.1, 0.9], np.float32)


@pytest.mark.parametrize(
    ("found", "where"),
    [
        (rules.over_mean(ANSWERS, 2, 0.5), [2, 3]),
        (rules.over_mean(ANSWERS, 9, 0.0), []),
        (rules.votes(ANSWERS, 3, 2, 0.5), [3, 4, 5]),
        (rules.two_levels(ANSWERS, 0.95, 3, 0.6), [3, 4, 5]),
        (rules.leaky(ANSWERS, 0.5, 0.6), [3, 5]),
        (rules.evidence(ANSWERS, 0.0, 4.0), [3, 5]),
    ],
    ids=["mean", "too few", "votes", "two levels", "leaky", "evidence"],
)
def test_where_a_rule_says_so(found, where) -> None:
    assert np.flatnonzero(found).tolist() == where


def test_a_second_of_deafness_and_answers_in_the_order_of_time() -> None:
    hits = np.zeros(100, bool)
    hits[[3, 4, 35, 36, 99]] = True
    assert times_said(hits, 1) == 3
    assert times_said(hits, 3) == 1
    assert times_said(np.ones(100, bool), 1) == 1
    parts = [np.array([1, 4, 7]), np.array([2, 5, 8]), np.array([3, 6])]
    assert joined(parts, 3).tolist() == [1, 2, 3, 4, 5, 6]
    assert joined(parts, 1).tolist() == [1, 4, 7]
