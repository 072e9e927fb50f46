"""What devices report and the gate says, read as events."""

import pytest
from fleet_samples import NEW, OLD, a_rollout, an_app

from edge_sdk.spec.deployment import AppState, State
from fleet.core.gate import Line, Outcome, Verdict
from fleet.core.rollout import (
    Arrived,
    BegunAlone,
    BegunBeside,
    Failed,
    Goal,
    Overdue,
    Pace,
    Passed,
    Returned,
    Stage,
)
from fleet.core.situation import Place, Standing, is_undecided, look, place, problems_of

GOOD = Verdict(outcome=Outcome.SUCCESSFUL)
OPEN = Verdict(
    outcome=Outcome.INCONCLUSIVE,
    lines=(
        Line(
            measure="errors",
            outcome=Outcome.INCONCLUSIVE,
            value=None,
            limit=0.1,
            samples=3,
            wanted=9,
        ),
    ),
)
BAD = Verdict(outcome=Outcome.FAILED)
HERE = Standing(arrived=2)
LATE = 600_001


def event_of(stage: Stage, standing: Standing, verdict: Verdict, at_ms: int, **changes: object):
    return look(a_rollout(stage=stage, **changes), standing, verdict, at_ms)


@pytest.mark.parametrize(
    ("goal", "app", "where"),
    [
        (Goal.SHADOW, an_app(shadow=NEW, state=State.SHADOWING), Place.ARRIVED),
        (Goal.SHADOW, an_app(target=NEW, state=State.DOWNLOADING), Place.OPEN),
        (Goal.SHADOW, an_app(state=State.FAILED), Place.FAILED),
        (Goal.CANDIDATE, an_app(serving=NEW), Place.ARRIVED),
        (Goal.CANDIDATE, an_app(serving=NEW, shadow=OLD), Place.OPEN),
        (Goal.CANDIDATE, an_app(serving=NEW, state=State.PROBATION), Place.OPEN),
        (Goal.CANDIDATE, an_app(target=NEW, state=State.PROBATION), Place.OPEN),
        (Goal.CANDIDATE, an_app(state=State.ROLLED_BACK), Place.FAILED),
        (Goal.CANDIDATE, an_app(state=State.FAILED, target=NEW), Place.OPEN),
        (Goal.INCUMBENT, an_app(), Place.ARRIVED),
        (Goal.INCUMBENT, an_app(shadow=NEW), Place.OPEN),
        (Goal.INCUMBENT, an_app(serving=NEW), Place.OPEN),
        (Goal.INCUMBENT, None, Place.OPEN),
    ],
)
def test_where_a_device_stands(goal: Goal, app: AppState | None, where: Place) -> None:
    assert place(goal, NEW, OLD, app, heard=True) is where
    assert place(goal, NEW, OLD, app, heard=False) is Place.OPEN


def test_a_device_that_served_nothing_is_back_when_it_serves_nothing() -> None:
    assert place(Goal.INCUMBENT, NEW, None, AppState(), heard=True) is Place.ARRIVED


def test_beginning() -> None:
    assert isinstance(event_of(Stage.CREATED, Standing(), OPEN, 1), BegunBeside)
    assert isinstance(event_of(Stage.CREATED, Standing(), OPEN, 1, beside=False), BegunAlone)


@pytest.mark.parametrize("stage", [Stage.SHADOWING, Stage.CANARY, Stage.ROLLING])
def test_a_bad_verdict_ends_every_stage_at_once(stage: Stage) -> None:
    event = event_of(stage, Standing(waiting=3), BAD, 1)
    assert isinstance(event, Failed)
    assert event.verdict is BAD


@pytest.mark.parametrize("stage", [Stage.SHADOWING, Stage.CANARY, Stage.ROLLING])
def test_no_verdict_in_time_is_overdue_and_says_why(stage: Stage) -> None:
    assert event_of(stage, HERE, OPEN, 600_000, arrived_ms=1) is None
    event = event_of(stage, Standing(arrived=1, waiting=1, away=2), OPEN, LATE, arrived_ms=1)
    assert isinstance(event, Overdue)
    assert event.reason == (
        "errors: 3 of 9 seen; 1 device did not get there in time; "
        "2 devices not heard from; told when back"
    )


def test_shadowing_passes_when_all_canaries_have_shown_it() -> None:
    assert isinstance(event_of(Stage.SHADOWING, HERE, GOOD, 1), Passed)
    assert event_of(Stage.SHADOWING, Standing(arrived=1, away=1), GOOD, 1) is None


def test_canaries_soak_before_the_others_follow() -> None:
    pace = Pace(soak_s=10)
    assert isinstance(event_of(Stage.CANARY, HERE, GOOD, 50_000, pace=pace), Arrived)
    assert event_of(Stage.CANARY, HERE, GOOD, 59_999, pace=pace, arrived_ms=50_000) is None
    event = event_of(Stage.CANARY, HERE, GOOD, 60_000, pace=pace, arrived_ms=50_000)
    assert isinstance(event, Passed)
    waiting = Standing(arrived=1, waiting=1)
    assert event_of(Stage.CANARY, waiting, GOOD, 60_000, pace=pace) is None


def test_a_canary_that_never_arrives_is_overdue() -> None:
    event = event_of(Stage.CANARY, Standing(away=1), GOOD, LATE)
    assert isinstance(event, Overdue)


def test_rolling_does_not_wait_for_ever_for_devices_that_are_away() -> None:
    assert isinstance(event_of(Stage.ROLLING, HERE, GOOD, 1), Passed)
    away = Standing(arrived=5, away=2)
    assert event_of(Stage.ROLLING, away, GOOD, 1) is None
    event = event_of(Stage.ROLLING, away, GOOD, LATE)
    assert isinstance(event, Passed)
    assert event.reason == "2 devices not heard from; told when back"
    assert isinstance(event_of(Stage.ROLLING, Standing(waiting=1), GOOD, LATE), Overdue)


def test_rolling_does_not_wait_for_ever_for_devices_without_input() -> None:
    """Of twenty thousand cameras some are always broken. They serve it, and see some day."""
    blind = Standing(arrived=5, undecided=1, problems=("pi-6: no input since noon",))
    assert event_of(Stage.ROLLING, blind, GOOD, 1) is None
    event = event_of(Stage.ROLLING, blind, GOOD, LATE)
    assert isinstance(event, Passed)
    assert event.reason == (
        "1 device without input; it is decided there when some comes; pi-6: no input since noon"
    )
    assert isinstance(event_of(Stage.ROLLING, blind, OPEN, LATE), Overdue)
    canary = event_of(Stage.CANARY, Standing(undecided=1), GOOD, LATE)
    assert isinstance(canary, Overdue)


def test_a_reason_while_it_is_on_probation_is_no_verdict() -> None:
    assert is_undecided(AppState(state=State.PROBATION, reason="inconclusive: no input"))
    assert not is_undecided(AppState(state=State.PROBATION))
    assert not is_undecided(AppState(state=State.ROLLED_BACK, reason="slow"))
    assert not is_undecided(None)


def test_what_is_in_the_way_stands_in_the_reason() -> None:
    """A canary without input is asked nothing: no verdict, a pause, and everybody can see why."""
    problems = tuple(f"pi-{number}: no input since noon" for number in range(1, 6))
    event = event_of(Stage.CANARY, Standing(waiting=1, problems=problems[:1]), OPEN, LATE)
    assert isinstance(event, Overdue)
    assert event.reason.endswith("1 device did not get there in time; pi-1: no input since noon")
    event = event_of(Stage.SHADOWING, Standing(arrived=5, problems=problems), OPEN, LATE)
    assert isinstance(event, Overdue)
    assert event.reason.endswith("pi-3: no input since noon; and 2 more like that")


def test_what_a_device_says_of_itself_is_bounded() -> None:
    said = problems_of(AppState(problems=("x" * 10_000,) * 1000))
    assert (len(said), {len(problem) for problem in said}) == (8, {400})


def test_rolling_back_ends_by_itself() -> None:
    assert event_of(Stage.ROLLING_BACK, Standing(waiting=1), BAD, 1) is None
    event = event_of(Stage.ROLLING_BACK, HERE, BAD, 1, reason="why")
    assert isinstance(event, Returned)
    assert event.reason == "why"
    late = event_of(Stage.ROLLING_BACK, Standing(waiting=1), BAD, LATE)
    assert isinstance(late, Returned)
    assert late.reason == "1 device did not get there in time"


def test_a_deadline_without_any_reason_is_one() -> None:
    event = event_of(Stage.CANARY, HERE, GOOD, LATE, arrived_ms=LATE)
    assert isinstance(event, Overdue)
    assert event.reason == "the deadline has passed"


@pytest.mark.parametrize("stage", [Stage.PAUSED, Stage.DONE, Stage.ROLLED_BACK, Stage.ABORTED])
def test_nothing_moves_what_rests(stage: Stage) -> None:
    assert event_of(stage, Standing(waiting=1), BAD, LATE) is None
