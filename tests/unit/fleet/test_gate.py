"""The gate: what is bad, what is good, and what is not known."""

import pytest
from fleet_samples import a_window
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.spec.sketch import Comparison, LogHistogram
from fleet.core.gate import Limits, Line, Outcome, Trial, Verdict, Z, judge, wilson
from fleet.core.tally import Tally, tally

NOTHING = Tally()
STRICT = Limits(fast_ms=0)
"""The latencies below are of microseconds."""


def verdict(
    candidate: Tally,
    incumbent: Tally = NOTHING,
    *,
    devices: int = 1,
    failed: int = 0,
    beside: bool = True,
    limits: Limits = STRICT,
) -> Verdict:
    trial = Trial("pi-1", candidate, incumbent)
    return judge(limits, [trial], devices=devices, failed=failed, beside=beside)


def line(found: Verdict, measure: str) -> Line:
    return next(each for each in found.lines if each.measure == measure)


def compared(count: int, disagreed: int) -> Tally:
    return Tally(inferences=count, compared=count, disagreed=disagreed)


def fast(count: int, bin_: int) -> Tally:
    return Tally(inferences=count, latency={bin_: count})


def test_a_faithful_candidate_passes() -> None:
    found = verdict(compared(200, 10))
    assert found.outcome is Outcome.SUCCESSFUL
    assert "disagreement 5 % ≤ 15 % (n=200)" in found.summary


def test_a_candidate_that_answers_otherwise_fails_and_says_how_often() -> None:
    found = verdict(compared(120, 52))
    assert found.outcome is Outcome.FAILED
    assert found.summary == "disagreement 43.3 % > 15 % (n=120)"


def test_in_between_more_evidence_is_wanted() -> None:
    assert verdict(compared(100, 13)).outcome is Outcome.INCONCLUSIVE
    assert verdict(compared(10_000, 1_300)).outcome is Outcome.SUCCESSFUL
    assert verdict(compared(10_000, 1_700)).outcome is Outcome.FAILED


def test_too_little_is_not_good_nor_bad() -> None:
    found = verdict(compared(99, 90))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "disagreement: 99 of 100 seen" in found.summary
    nothing = judge(Limits(), [], devices=1, failed=0, beside=True)
    assert nothing.outcome is Outcome.INCONCLUSIVE
    assert line(nothing, "errors").value is None


def test_disagreement_is_asked_of_shadows_alone() -> None:
    found = verdict(Tally(inferences=100), beside=False)
    assert found.outcome is Outcome.SUCCESSFUL
    assert {each.measure for each in found.lines} == {"failed devices", "crashes", "errors"}


def test_errors() -> None:
    assert verdict(Tally(inferences=50, errors=50), beside=False).outcome is Outcome.FAILED
    few = verdict(Tally(inferences=199, errors=1), beside=False)
    assert few.outcome is Outcome.INCONCLUSIVE
    many = verdict(Tally(inferences=1999, errors=1), beside=False)
    assert many.outcome is Outcome.SUCCESSFUL


def test_one_crash_is_too_many_however_little_was_seen() -> None:
    found = verdict(Tally(crashes=1))
    assert found.outcome is Outcome.FAILED
    assert found.summary == "crashes 1 > 0 (n=0)"


def test_a_device_that_gave_up() -> None:
    assert verdict(compared(200, 0), devices=1, failed=1).outcome is Outcome.FAILED
    assert verdict(compared(200, 0), devices=100, failed=5).outcome is Outcome.SUCCESSFUL
    assert verdict(compared(200, 0), devices=100, failed=6).outcome is Outcome.FAILED


def test_slower_than_the_incumbent_on_the_same_device() -> None:
    # 1.02 ** 56 is 3.03
    slow = verdict(fast(300, 156), fast(300, 100), beside=False)
    assert slow.outcome is Outcome.FAILED
    assert slow.summary == "p99 ratio on pi-1 3.03 > 3 (n=300)"
    assert verdict(fast(300, 155), fast(300, 100), beside=False).outcome is Outcome.SUCCESSFUL


def test_a_few_slow_answers_do_not_condemn() -> None:
    few = Tally(inferences=300, latency={100: 296, 300: 4})
    found = verdict(few, fast(300, 100), beside=False)
    assert line(found, "p99 ratio").outcome is Outcome.INCONCLUSIVE
    many = Tally(inferences=3000, latency={100: 2930, 300: 70})
    assert verdict(many, fast(300, 100), beside=False).outcome is Outcome.FAILED
    hardly = verdict(fast(300, 300), fast(200, 100), beside=False)
    assert hardly.outcome is Outcome.INCONCLUSIVE, "200 latencies bound no 99th percentile"


def test_what_is_fast_enough_is_not_compared() -> None:
    # 1.02 ** 430 is 5.0 ms, 1.02 ** 460 is 9.0 ms
    for bin_, outcome in ((425, Outcome.SUCCESSFUL), (460, Outcome.FAILED)):
        found = verdict(fast(300, bin_), fast(300, 100), beside=False, limits=Limits())
        assert line(found, "p99 ratio").outcome is outcome


def test_a_hard_limit_of_latency_needs_no_incumbent() -> None:
    limits = Limits(max_p99_ms=20)
    for candidate, outcome in (
        (fast(300, 495), Outcome.SUCCESSFUL),  # 18 ms
        (fast(300, 505), Outcome.FAILED),  # 22 ms
        (fast(99, 505), Outcome.INCONCLUSIVE),
        (fast(150, 495), Outcome.INCONCLUSIVE),  # 150 latencies bound no 99th percentile
        (Tally(inferences=300, latency={495: 296, 505: 4}), Outcome.INCONCLUSIVE),
    ):
        found = line(verdict(candidate, beside=False, limits=limits), "p99 ms")
        assert found.outcome is outcome, found


@given(st.integers(1, 3000))
def test_bounds_hold_the_percentile(count: int) -> None:
    found = Tally(latency={bin_: 1 for bin_ in range(count)})
    low, high = found.percentile_bounds(0.99, Z)
    middle = found.percentile(0.99)
    assert middle is not None
    assert (low or 0) <= middle <= (high or middle)
    if count >= 400:
        assert high is not None


def test_latency_is_not_compared_with_what_was_hardly_measured() -> None:
    for incumbent in (Tally(), fast(99, 1)):
        found = verdict(fast(200, 500), incumbent, beside=False)
        assert found.outcome is Outcome.SUCCESSFUL


def test_the_slowest_device_speaks_for_all() -> None:
    trials = [
        Trial("pi-1", fast(200, 100), fast(200, 100)),
        Trial("pi-2", fast(300, 200), fast(300, 100)),
    ]
    found = judge(STRICT, trials, devices=2, failed=0, beside=False)
    assert line(found, "p99 ratio").device == "pi-2"
    assert found.outcome is Outcome.FAILED


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_share_and_narrows(hits: int, more: int) -> None:
    samples = hits + more
    low, high = wilson(hits, samples)
    share = hits / samples
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1
    lower, higher = wilson(10 * hits, 10 * samples)
    assert higher - lower < high - low


def test_wilson_against_known_numbers() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    # By hand: centre 0.113528 / 1.027055, half width 1.60157 * 0.031107.
    assert wilson(10, 100) == pytest.approx((0.06072, 0.16036), abs=1e-5)


@given(st.permutations(range(6)))
def test_windows_add_up_in_any_order(order: list[int]) -> None:
    windows = [
        a_window(
            inferences=i,
            errors=i,
            crashes=i,
            latency=LogHistogram(counts={i: 1, 7: i}),
            comparison=Comparison(compared=i, disagreed=1) if i else None,
        )
        for i in range(6)
    ]
    total = tally(windows[i] for i in order)
    assert (total.inferences, total.errors, total.tried, total.crashes) == (15, 15, 30, 15)
    assert (total.compared, total.disagreed) == (15, 5)
    assert {k: v for k, v in total.latency.items() if v} == {**dict.fromkeys(range(6), 1), 7: 15}


def test_bins_of_another_ratio_are_left_out() -> None:
    other = LogHistogram(counts={3: 50}, ratio=1.5)
    total = tally([a_window(latency=other), a_window()])
    assert (total.latency, total.ratio, total.inferences) == ({3: 50}, 1.5, 200)


def test_a_percentile_is_right_within_the_ratio() -> None:
    found = Tally(latency={100: 99, 200: 1})
    for share, bin_ in ((0.5, 100), (0.99, 100), (0.995, 200), (1.0, 200)):
        assert found.percentile(share) == pytest.approx(1.02**bin_, rel=0.01)
    assert Tally().percentile(0.5) is None


def test_what_earlier_stages_showed_stays() -> None:
    shadow = verdict(compared(200, 10))
    canary = verdict(Tally(inferences=300), beside=False)
    together = canary.after(shadow)
    assert together.outcome is canary.outcome
    assert together.lines == (*canary.lines, line(shadow, "disagreement"))
    assert canary.after(None) == canary
