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
    Pace,
    Passed,
    Pause,
    Resume,
    Returned,
    RollBack,
    Rollout,
    Stage,
    Widened,
    assignment,
    progress,
    step,
)

EVENTS = (
    BegunBeside,
    BegunAlone,
    Arrived,
    Passed,
    Widened,
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
    rollout = a_rollout(stage=stage, waves=(0.5, 1.0))
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


WAVES = {"pace": Pace(waves=(0.25, 0.5, 1.0)), "waves": (0.25, 0.5, 1.0)}


def test_wave_after_wave() -> None:
    rollout = walk(BegunAlone, Arrived, Passed, **WAVES)
    assert (rollout.stage, rollout.wave, progress(rollout)) == (Stage.ROLLING, 1, "wave 1 of 3")
    arrived, _ = step(rollout, Arrived(7))
    assert (arrived.arrived_ms, arrived.since_ms) == (7, rollout.since_ms)
    second, effects = step(arrived, Widened(9, "errors 0 %"))
    assert (second.wave, second.since_ms, second.arrived_ms) == (2, 9, 0)
    assert (second.stage, second.reason, effects) == (
        Stage.ROLLING,
        "errors 0 %",
        EFFECTS[Stage.ROLLING],
    )
    third, _ = step(second, Widened(10))
    with pytest.raises(IllegalEvent, match="cannot widen now"):
        step(third, Widened(11))
    assert step(third, Passed(11))[0].stage is Stage.DONE


@pytest.mark.parametrize("stop", [Pause, Overdue])
def test_a_wave_that_was_paused_goes_on_as_the_same(stop: type[Event]) -> None:
    paused = walk(BegunAlone, Passed, Widened, Arrived, stop, **WAVES)
    assert (paused.stage, paused.wave, progress(paused)) == (Stage.PAUSED, 2, "wave 2 of 3")
    resumed, effects = step(paused, Resume(60))
    assert (resumed.stage, resumed.wave, resumed.arrived_ms) == (Stage.ROLLING, 2, 0)
    assert effects == EFFECTS[Stage.ROLLING]


@pytest.mark.parametrize("end", [Failed, RollBack, Abort])
def test_a_wave_that_ends_badly_concerns_all_before_it(end: type[Event]) -> None:
    for widened in range(3):
        rollout = walk(BegunAlone, Passed, *[Widened] * widened, **WAVES)
        ended, effects = step(rollout, end(50))
        assert ended.wave == widened + 1
        assert {give.group for give in effects} == {Group.CANARIES, Group.OTHERS}
        goal = Goal.KEEP if end is Abort else Goal.INCUMBENT
        assert {give.goal for give in effects} == {goal}


def test_only_what_rolls_or_rolled_has_progress() -> None:
    assert progress(walk(BegunAlone, **WAVES)) == ""
    assert progress(walk(BegunAlone, Passed)) == "", "one wave is no progress"
    assert progress(walk(BegunAlone, Passed, Failed, Returned, **WAVES)) == "wave 1 of 3"


@given(st.lists(st.sampled_from(EVENTS), max_size=30), st.booleans(), st.booleans())
def test_whatever_happens_the_invariants_hold(
    events: list[type[Event]], beside: bool, in_waves: bool
) -> None:
    rollout = a_rollout(beside=beside, **(WAVES if in_waves else {}))
    for at_ms, event in enumerate(events, 1):
        before = rollout
        try:
            rollout, effects = step(rollout, event(at_ms))
        except IllegalEvent:
            continue
        assert before.stage not in FINAL or isinstance(event(0), RollBack)
        assert (rollout.came_from is not None) == (rollout.stage in OFF_COURSE)
        assert effects in ((), EFFECTS.get(rollout.stage, ()))
        if any(give.goal is Goal.CANDIDATE for give in effects if give.group is Group.BEGUN):
            assert rollout.stage is Stage.ROLLING, "the others get it in ROLLING alone"
        assert not any(g.goal is Goal.CANDIDATE for g in effects if g.group is Group.OTHERS)
        assert before.wave <= rollout.wave <= len(rollout.waves), "no wave is taken twice"
        assert rollout.wave == before.wave or before.stage is Stage.ROLLING


def test_from_every_stage_a_final_one_can_be_reached_without_an_operator() -> None:
    """No stage is for ever, but PAUSED, which waits for a person."""
    by_itself = {BegunBeside, BegunAlone, Passed, Widened, Failed, Overdue, Returned}
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
