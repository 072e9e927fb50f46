"""The rollout's table: what leads where, what cannot be, and that every way ends."""

import pytest
from fleet_samples import NEW, OLD, a_rollout
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.spec.deployment import Assignment
from fleet.core.gate import Outcome, Verdict
from fleet.core.rollout import (
    EFFECTS,
    FINAL,
    OFF_COURSE,
    TABLE,
    Abort,
    Arrived,
    BegunAlone,
    BegunBeside,
    Event,
    Failed,
    Give,
    Goal,
    Group,
    IllegalEvent,
    Overdue,
    Passed,
    Pause,
    Resume,
    Returned,
    RollBack,
    Rollout,
    Stage,
    assignment,
    step,
)

EVENTS = (
    BegunBeside,
    BegunAlone,
    Arrived,
    Passed,
    Failed,
    Overdue,
    Returned,
    Pause,
    Resume,
    Abort,
    RollBack,
)
BAD = Verdict(outcome=Outcome.FAILED)


def walk(*events: type[Event], **changes: object) -> Rollout:
    rollout = a_rollout(**changes)
    for at_ms, event in enumerate(events, 1):
        rollout, _ = step(rollout, event(at_ms))
    return rollout


def test_the_good_way() -> None:
    rollout = walk(BegunBeside, Passed, Arrived, Passed, Passed)
    assert rollout.stage is Stage.DONE
    assert rollout.came_from is None


def test_without_an_incumbent_there_is_no_shadow() -> None:
    assert walk(BegunAlone).stage is Stage.CANARY


def test_a_bad_candidate_is_taken_back_by_itself() -> None:
    rollout, effects = step(walk(BegunBeside), Failed(9, "disagreement", BAD))
    assert (rollout.stage, rollout.came_from) == (Stage.ROLLING_BACK, Stage.SHADOWING)
    assert (rollout.reason, rollout.verdict, rollout.since_ms) == ("disagreement", BAD, 9)
    assert effects == (
        Give(Group.CANARIES, Goal.INCUMBENT),
        Give(Group.OTHERS, Goal.INCUMBENT),
    )
    rollout, effects = step(rollout, Returned(10, rollout.reason))
    assert (rollout.stage, rollout.came_from) == (Stage.ROLLED_BACK, Stage.SHADOWING)
    assert rollout.verdict == BAD
    assert effects == ()


def test_arriving_starts_the_soak_and_nothing_else() -> None:
    before = walk(BegunAlone)
    after, effects = step(before, Arrived(7))
    assert (after.stage, after.since_ms, after.arrived_ms) == (Stage.CANARY, before.since_ms, 7)
    assert effects == ()


@pytest.mark.parametrize("way", [(BegunBeside,), (BegunAlone,), (BegunAlone, Passed)])
def test_resuming_goes_on_where_it_was_paused_and_does_it_again(way: tuple[type[Event]]) -> None:
    before = walk(*way)
    for pause in (Pause, Overdue):
        paused, nothing = step(before, pause(50))
        assert (paused.stage, paused.came_from, nothing) == (Stage.PAUSED, before.stage, ())
        resumed, effects = step(paused, Resume(60))
        assert (resumed.stage, resumed.came_from) == (before.stage, None)
        assert resumed.since_ms == 60
        assert effects == EFFECTS[before.stage]


def test_a_finished_rollout_can_be_taken_back() -> None:
    rollout = walk(BegunAlone, Passed, Passed, RollBack)
    assert (rollout.stage, rollout.came_from) == (Stage.ROLLING_BACK, Stage.DONE)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("stage", Stage)
def test_what_is_not_in_the_table_changes_nothing(stage: Stage, event: type[Event]) -> None:
    rollout = a_rollout(stage=stage)
    if event in TABLE[stage]:
        stepped, _ = step(rollout, event(1))
        assert stepped.stage is TABLE[stage][event]
    else:
        with pytest.raises(IllegalEvent, match=f"fashion-1 is {stage.value}"):
            step(rollout, event(1))


def test_the_refusal_speaks_of_what_was_asked() -> None:
    with pytest.raises(IllegalEvent, match="cannot roll back now"):
        step(a_rollout(stage=Stage.ABORTED), RollBack(1))
    with pytest.raises(IllegalEvent, match="cannot resume now"):
        step(a_rollout(stage=Stage.CANARY), Resume(1))


@given(st.lists(st.sampled_from(EVENTS), max_size=30), st.booleans())
def test_whatever_happens_the_invariants_hold(events: list[type[Event]], beside: bool) -> None:
    rollout = a_rollout(beside=beside)
    for at_ms, event in enumerate(events, 1):
        before = rollout
        try:
            rollout, effects = step(rollout, event(at_ms))
        except IllegalEvent:
            continue
        assert before.stage not in FINAL or isinstance(event(0), RollBack)
        assert (rollout.came_from is not None) == (rollout.stage in OFF_COURSE)
        assert effects in ((), EFFECTS.get(rollout.stage, ()))
        if any(give.goal is Goal.CANDIDATE for give in effects if give.group is Group.OTHERS):
            assert rollout.stage is Stage.ROLLING, "the others get it in ROLLING alone"


def test_from_every_stage_a_final_one_can_be_reached_without_an_operator() -> None:
    """No stage is for ever, but PAUSED, which waits for a person."""
    by_itself = {BegunBeside, BegunAlone, Passed, Failed, Overdue, Returned}
    for start in set(Stage) - FINAL - {Stage.PAUSED}:
        reached, frontier = {start}, [start]
        while frontier:
            for event, stage in TABLE[frontier.pop()].items():
                if event in by_itself and stage not in reached:
                    reached.add(stage)
                    frontier.append(stage)
        assert reached & FINAL


def test_what_a_goal_means_for_one_device() -> None:
    rollout = a_rollout()

    def said(goal: Goal, serving: object = OLD) -> tuple[object, object]:
        wanted: Assignment = assignment(rollout, goal, OLD, serving)  # type: ignore[arg-type]
        assert wanted.rollout == rollout.id
        return wanted.serve, wanted.shadow

    assert said(Goal.SHADOW) == (OLD, NEW)
    assert said(Goal.CANDIDATE) == (NEW, None)
    assert said(Goal.INCUMBENT, NEW) == (OLD, None)
    assert said(Goal.KEEP, NEW) == (NEW, None)
    assert said(Goal.KEEP, OLD) == (OLD, None)
    assert said(Goal.KEEP, None) == (OLD, None)
