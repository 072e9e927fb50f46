"""The update table: what each event means, and what no sequence of events can do."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.core import effects as fx
from device_agent.core import events as ev
from device_agent.core.standing import Role, Update, answering, goal, in_flight, needed, view
from device_agent.core.update import MAX_BOOTS, TABLE, IllegalEvent, step
from edge_sdk.errors import UpdateError
from edge_sdk.spec.deployment import TERMINAL, ArtifactRef, Assignment, State

A, B, C, D = (
    ArtifactRef(digest=letter * 64, name="fashion", version=f"1.{i}.0")
    for i, letter in enumerate("abcd")
)
S = State


def desired(counter: int, serve: ArtifactRef | None, shadow: ArtifactRef | None = None):
    return ev.Desired(counter, Assignment(serve=serve, shadow=shadow))


def play(update: Update, *events: ev.Event) -> tuple[Update, list[fx.Effect]]:
    effects: list[fx.Effect] = []
    for event in events:
        update, more = step(update, event)
        effects = list(more)
    return update, effects


def bring(update: Update, event: ev.Event, stop: State | None = None) -> Update:
    """Let everything succeed until an attempt rests, or is in the state ``stop``."""
    update, _ = step(update, event)
    while in_flight(update) and update.state is not stop:
        update, _ = step(update, success(update))
    if stop is None and goal(update) is not None:
        return bring(update, ev.Idle())
    return update


def success(update: Update) -> ev.Event:
    kind = {
        S.DOWNLOADING: ev.Fetched,
        S.VERIFYING: ev.Verified,
        S.ACTIVATING: ev.Activated,
        S.PROBATION: ev.Healthy,
        S.SHADOWING: ev.Shadowed,
    }[update.state]
    return kind(update.attempt)


FAILS = {
    S.DOWNLOADING: ev.Unfetchable,
    S.VERIFYING: ev.Unfit,
    S.ACTIVATING: ev.NotActivated,
    S.PROBATION: ev.Unhealthy,
    S.SHADOWING: ev.NotShadowed,
}
SERVING_A = bring(Update(), desired(1, A))
SERVING_B = bring(SERVING_A, desired(2, B))


def test_a_first_deployment_goes_through_every_state() -> None:
    update, effects = step(Update(), desired(1, A))
    assert (update.state, effects[-1]) == (S.DOWNLOADING, fx.Fetch(A, 1))
    update, effects = step(update, ev.Fetched(1))
    assert (update.state, effects) == (S.VERIFYING, (fx.Check(A, 1),))
    update, effects = step(update, ev.Verified(1))
    assert (update.state, effects) == (S.ACTIVATING, (fx.Run(A, None, 1),))
    assert view(update).serving is None
    update, effects = step(update, ev.Activated(1))
    assert (update.state, effects) == (S.PROBATION, (fx.Watch(A, 1),))
    assert view(update).serving == A
    update, effects = step(update, ev.Healthy(1))
    assert update.state is S.COMMITTED
    assert (update.serving, update.previous, update.target) == (A, None, None)
    assert effects == (fx.Run(A, None, 1), fx.Collect(), fx.Proceed())


def test_the_next_deployment_keeps_the_previous_one() -> None:
    assert (SERVING_B.serving, SERVING_B.previous) == (B, A)
    assert needed(SERVING_B) == {A.digest, B.digest}


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        (S.DOWNLOADING, S.FAILED),
        (S.VERIFYING, S.FAILED),
        (S.ACTIVATING, S.ROLLED_BACK),
        (S.PROBATION, S.ROLLED_BACK),
    ],
)
def test_a_failure_leaves_what_was_committed(state: State, ends: State) -> None:
    update = bring(SERVING_B, desired(3, C), state)
    update, effects = step(update, FAILS[state](update.attempt, "no good"))
    assert (update.state, update.reason) == (ends, "fashion 1.2.0: no good")
    assert (update.serving, update.previous, update.target) == (B, A, None)
    assert fx.Run(B, None, 3) in effects
    assert (C.digest in update.refused) == (state is not S.DOWNLOADING)


@pytest.mark.parametrize("state", [S.ACTIVATING, S.PROBATION])
def test_a_first_deployment_has_nothing_to_roll_back_to(state: State) -> None:
    update = bring(Update(), desired(1, A), state)
    update, effects = step(update, ev.Crashed("signal 11"))
    assert update.state is S.FAILED
    assert fx.Run(None, None, 1) in effects


def test_a_crash_while_nothing_is_on_trial_changes_nothing() -> None:
    for state in (S.DOWNLOADING, S.VERIFYING, None):
        update = bring(SERVING_B, desired(3, C), state)
        assert step(update, ev.Crashed("signal 11")) == (update, ())


def test_a_shadow_runs_beside_and_never_answers() -> None:
    update = bring(SERVING_A, desired(2, A, B))
    assert (update.state, update.shadow, update.serving) == (S.SHADOWING, B, A)
    assert answering(update) == A
    again, effects = step(update, ev.Rebooted())
    assert again == update
    assert effects == (fx.Run(A, B, update.attempt),)
    worse, effects = step(update, ev.Crashed("signal 11"))
    assert (worse.state, worse.shadow, worse.serving) == (S.FAILED, None, A)
    assert worse.reason == "fashion 1.1.0: signal 11"
    assert worse.refused == (B.digest,)


def test_a_shadow_is_promoted() -> None:
    update = bring(SERVING_A, desired(2, A, B))
    update, effects = step(update, desired(3, B))
    assert (update.shadow, update.target, update.state) == (None, B, S.DOWNLOADING)
    assert fx.Run(A, None, update.attempt) in effects
    assert view(bring(update, ev.Idle())).serving == B


def test_serve_comes_before_shadow() -> None:
    update = bring(SERVING_A, desired(2, B, C))
    assert (update.serving, update.shadow, update.state) == (B, C, S.SHADOWING)


def test_a_shadow_no_longer_wanted_stops() -> None:
    update = bring(SERVING_A, desired(2, A, B))
    update, effects = step(update, desired(3, A))
    assert (update.shadow, update.state) == (None, S.COMMITTED)
    assert fx.Run(A, None, update.attempt) in effects


def test_a_shadow_still_wanted_stays() -> None:
    update = bring(SERVING_A, desired(2, A, B))
    same, _ = step(update, desired(3, A, B))
    assert same.counter == 3
    assert (same.shadow, same.state, same.attempt) == (B, S.SHADOWING, update.attempt)


def test_desired_heard_again_changes_nothing() -> None:
    for state in (S.DOWNLOADING, S.PROBATION, None):
        update = bring(SERVING_A, desired(2, B), state)
        assert step(update, desired(2, C)) == (update, ())
        assert step(update, desired(1, C)) == (update, ())


def test_a_newer_desired_of_the_same_goal_goes_on() -> None:
    update = bring(SERVING_A, desired(2, B), S.VERIFYING)
    newer, effects = step(update, desired(3, B))
    assert (newer.attempt, newer.state, effects) == (update.attempt, S.VERIFYING, ())


def test_back_to_what_is_committed_needs_no_attempt() -> None:
    update = bring(SERVING_A, desired(2, B), S.PROBATION)
    update, effects = step(update, desired(3, A))
    assert (update.state, update.serving, update.target) == (S.COMMITTED, A, None)
    assert effects[:2] == (fx.Cancel(), fx.Run(A, None, update.attempt))


def test_no_artifact_stops_the_application() -> None:
    for state in (None, S.PROBATION):
        update = bring(SERVING_A, desired(2, B), state)
        update, effects = step(update, desired(3, None))
        assert (update.state, update.serving) == (S.COMMITTED, None)
        assert update.previous == (B if state is None else A)
        assert fx.Run(None, None, update.attempt) in effects
    again, _ = step(update, desired(4, A))
    assert again.target == A


def test_a_refused_artifact_is_left_alone_until_another_was_wanted() -> None:
    update = bring(SERVING_A, desired(2, B), S.PROBATION)
    update, _ = step(update, ev.Unhealthy(update.attempt, "slow"))
    same, _ = step(update, desired(3, B))
    assert (same.state, same.reason, same.refused) == (S.ROLLED_BACK, update.reason, (B.digest,))
    assert step(same, ev.Idle()) == (same, ())
    other, _ = step(same, desired(4, A))
    assert (other.state, other.refused, other.reason) == (S.COMMITTED, (), "")
    again, _ = step(other, desired(5, B))
    assert (again.state, again.target) == (S.DOWNLOADING, B)


def test_what_could_not_be_fetched_is_tried_again() -> None:
    update = bring(SERVING_A, desired(2, B), S.DOWNLOADING)
    update, _ = step(update, ev.Unfetchable(update.attempt, "disk full"))
    assert (update.state, update.refused) == (S.FAILED, ())
    newer, _ = step(update, desired(3, B))
    assert newer.state is S.DOWNLOADING
    _, effects = step(update, ev.Rebooted())
    assert fx.Proceed() in effects
    assert step(update, ev.Idle())[0].state is S.DOWNLOADING


def test_pre_empted_by_a_refused_artifact() -> None:
    update = bring(SERVING_A, desired(2, A, B), S.SHADOWING)
    update, _ = step(update, ev.NotShadowed(update.attempt, "no memory"))
    update, _ = step(update, desired(3, C, B))
    update, _ = step(update, desired(4, A, B))
    assert (update.state, update.target) == (S.FAILED, None)
    assert update.reason == "this device gave up on it before"


def test_rollback_by_hand_refuses_what_served() -> None:
    update, effects = step(SERVING_B, ev.RollBack("asked for at the device"))
    assert (update.state, update.serving, update.previous) == (S.ROLLED_BACK, A, None)
    assert (update.refused, update.reason) == ((B.digest,), "asked for at the device")
    assert effects == (fx.Run(A, None, 2), fx.Collect())
    with pytest.raises(UpdateError, match="no previous version"):
        step(update, ev.RollBack(""))


def test_what_the_fleet_took_away_is_not_brought_back_by_hand() -> None:
    stopped, _ = step(SERVING_A, desired(2, None))
    with pytest.raises(UpdateError, match="The fleet has stopped this application"):
        step(stopped, ev.RollBack("asked"))
    back = bring(SERVING_B, desired(3, A))
    assert (back.serving, back.previous) == (A, None)
    with pytest.raises(UpdateError, match="no previous version"):
        step(back, ev.RollBack("asked"))


def test_going_on_from_where_one_went_back_keeps_the_previous_one() -> None:
    back = bring(SERVING_B, desired(3, A))
    on = bring(back, desired(4, C))
    assert (on.serving, on.previous) == (C, A)


@pytest.mark.parametrize(
    ("state", "ends"), [(S.DOWNLOADING, S.FAILED), (S.PROBATION, S.ROLLED_BACK)]
)
def test_rollback_by_hand_gives_up_an_attempt(state: State, ends: State) -> None:
    update = bring(SERVING_A, desired(2, B), state)
    update, effects = step(update, ev.RollBack("asked"))
    assert (update.state, update.serving, update.refused) == (ends, A, (B.digest,))
    assert fx.Cancel() in effects


@pytest.mark.parametrize("state", FAILS)
def test_too_many_restarts_are_held_against_the_candidate(state: State) -> None:
    shadow = B if state is S.SHADOWING else None
    update = bring(SERVING_A, desired(2, A if shadow else B, shadow), state)
    for _ in range(MAX_BOOTS):
        update, _ = step(update, ev.Rebooted())
        assert update.state is state
    update, _ = step(update, ev.Rebooted())
    if state is S.DOWNLOADING:
        assert update.state is state
    else:
        assert update.state in TERMINAL
        assert f"restarted {MAX_BOOTS + 1} times unasked" in update.reason


@pytest.mark.parametrize("state", FAILS)
def test_restarts_that_were_asked_for_are_held_against_nobody(state: State) -> None:
    shadow = B if state is S.SHADOWING else None
    update = bring(SERVING_A, desired(2, A if shadow else B, shadow), state)
    for _ in range(MAX_BOOTS):  # as many unasked as there may be
        update, _ = step(update, ev.Rebooted())
    for _ in range(2 * MAX_BOOTS):
        update, effects = step(update, ev.Stopping())
        assert (update.stopping, effects) == (state is not S.DOWNLOADING, ())
        again, _ = step(update, ev.Stopping())
        assert again == update
        update, _ = step(update, ev.Rebooted())
        assert (update.state, update.stopping) == (state, False)
    update, _ = step(update, ev.Rebooted())
    assert (update.state is state) is (state is S.DOWNLOADING)


def test_what_comes_to_its_end_while_the_agent_is_stopping_begins_anew_with_a_clean_slate() -> None:
    update, _ = step(bring(SERVING_A, desired(2, B), S.ACTIVATING), ev.Stopping())
    update, _ = step(update, ev.Activated(update.attempt))
    assert (update.state, update.stopping) == (S.PROBATION, True)
    update, _ = step(update, ev.Rebooted())
    assert (update.boots, update.stopping) == (0, False)
    update, _ = step(step(update, ev.Stopping())[0], ev.Healthy(update.attempt))
    assert step(update, ev.Rebooted())[0].stopping is False
    for state in TERMINAL:
        assert step(Update(state=state), ev.Stopping()) == (Update(state=state), ())


def test_a_probation_without_input_goes_on_and_ends_well_or_badly() -> None:
    update = bring(SERVING_A, desired(2, B), S.PROBATION)
    for _ in range(MAX_BOOTS):
        update, _ = step(update, ev.Rebooted())
    update, effects = step(update, ev.Inconclusive(update.attempt, "no input"))
    assert (update.state, update.reason, effects) == (
        *(S.PROBATION, "no input"),
        (fx.Watch(B, update.attempt),),
    )
    assert (view(update).serving, view(update).previous) == (B, A)
    # It has run for a whole probation: a restart every night says nothing against it.
    assert update.boots == 0
    well, _ = step(update, ev.Healthy(update.attempt))
    assert (well.state, well.serving, well.reason) == (S.COMMITTED, B, "")
    badly, _ = step(update, ev.Unhealthy(update.attempt, "slow"))
    assert (badly.state, badly.serving, badly.refused) == (S.ROLLED_BACK, A, (B.digest,))
    late, effects = step(well, ev.Inconclusive(well.attempt - 1, "no input"))
    assert (late, effects) == (well, ())


def test_restarts_count_within_one_step_only() -> None:
    update, _ = step(bring(SERVING_A, desired(2, B), S.VERIFYING), ev.Rebooted())
    assert update.boots == 1
    assert step(update, ev.Verified(update.attempt))[0].boots == 0


def test_an_event_without_meaning_is_a_bug_and_changes_nothing() -> None:
    with pytest.raises(IllegalEvent, match="Healthy has no meaning in committed"):
        step(SERVING_A, ev.Healthy(SERVING_A.attempt))


@pytest.mark.parametrize("state", [S.DOWNLOADING, S.SHADOWING])
def test_an_update_that_cannot_be_is_refused(state: State) -> None:
    with pytest.raises(IllegalEvent):
        step(Update(state=state), ev.Rebooted())


def test_an_event_of_an_attempt_that_is_over_changes_nothing() -> None:
    update = bring(SERVING_A, desired(2, B), S.VERIFYING)
    assert step(update, ev.Verified(update.attempt - 1)) == (update, ())


def test_every_state_of_an_attempt_survives_a_restart_and_a_crash() -> None:
    for (role, state), rows in TABLE.items():
        assert {ev.Rebooted, ev.Crashed} <= set(rows), (role, state)


# ------------------------------------------------------------------ no sequence of events can …

REFS = st.sampled_from([A, B, C, D])
OUTCOMES = (
    *(ev.Fetched, ev.Verified, ev.Activated, ev.Healthy, ev.Shadowed),
    *(ev.Unfetchable, ev.Unfit, ev.NotActivated, ev.Unhealthy, ev.NotShadowed),
    ev.Inconclusive,
)


@st.composite
def events(draw: st.DrawFn) -> ev.Event | str:
    """An event, or a word for what fits the state: ``well`` and ``badly`` are likely."""
    return draw(
        st.one_of(
            st.sampled_from(["well", "well", "well", "badly"]),
            st.builds(desired, st.integers(0, 12), st.none() | REFS, st.none() | REFS),
            st.sampled_from(
                [
                    ev.Rebooted(),
                    ev.Stopping(),
                    ev.Crashed("signal 9"),
                    ev.Idle(),
                    ev.RollBack("asked"),
                ]
            ),
            st.builds(
                lambda kind, n: kind(n, "…") if issubclass(kind, ev.Failure) else kind(n),
                st.sampled_from(OUTCOMES),
                st.integers(0, 8),
            ),
        )
    )


@dataclass
class World:
    """A shell that does what it is told, and counts what runs and what is on disk."""

    update: Update = field(default_factory=Update)
    serving: ArtifactRef | None = None
    shadow: ArtifactRef | None = None
    slots: set[str] = field(default_factory=set)
    proceed: bool = False

    def tell(self, event: ev.Event) -> None:
        before = self.update
        try:
            self.update, effects = step(before, event)
        except (IllegalEvent, UpdateError):
            assert self.update is before
            return
        for effect in effects:
            match effect:
                case fx.Fetch(artifact, attempt) | fx.Check(artifact, attempt):
                    assert (artifact, attempt) == (self.update.target, self.update.attempt)
                    self.slots.add(artifact.digest)
                case fx.Watch(artifact, _):
                    assert artifact == self.serving
                case fx.Run(serve, shadow, _):
                    assert serve is None or serve.digest in self.slots
                    assert shadow is None or shadow.digest in self.slots
                    assert shadow is None or serve is not None
                    assert shadow is None or shadow.digest != serve.digest
                    self.serving, self.shadow = serve, shadow
                case fx.Collect():
                    self.slots &= needed(self.update)
                case fx.Proceed():
                    self.proceed = True
        self.check(before)

    def check(self, before: Update) -> None:
        now = self.update
        # What runs is what the update says; one answers, and only one.
        assert self.serving == answering(now)
        # Proven versions are kept, and change only by a commit, a stop or a rollback by hand.
        assert needed(now) - {now.target.digest if now.target else ""} <= self.slots
        if now.serving != before.serving and now.serving is not None:
            committed = before.state is S.PROBATION and now.serving == before.target
            rolled_back = now.state is S.ROLLED_BACK and now.serving == before.previous
            assert committed or rolled_back
            assert rolled_back or now.previous == before.serving
        if now.serving is None and before.serving is not None:
            assert now.wanted.serve is None
            assert now.previous == before.serving
        # An attempt is under way exactly in the states that say so.
        assert in_flight(now) or now.state in {*TERMINAL, S.SHADOWING}
        assert now.attempt >= before.attempt
        assert now.counter >= before.counter
        assert len(set(now.refused)) == len(now.refused)


@given(st.lists(events(), max_size=30), st.booleans(), REFS, st.none() | REFS)
def test_whatever_happens(history, well: bool, serve: ArtifactRef, shadow) -> None:
    world = World()
    for event in history:
        if isinstance(event, ev.Event):
            world.tell(event)
        elif in_flight(world.update):
            bad = FAILS[world.update.state]
            attempt = world.update.attempt
            world.tell(success(world.update) if event == "well" else bad(attempt, "no good"))

    # A newer Desired always pre-empts: it is the goal, or reached, or refused.
    counter = world.update.counter + 1
    world.tell(desired(counter, serve, shadow))
    assert world.update.counter == counter
    target, aim = world.update.target, goal(world.update)
    assert (target is None) == (aim is None)
    assert aim is None or aim[1] == target

    # And from there every attempt ends, whether its steps go well or badly.
    for _ in range(12):
        if in_flight(world.update):
            update = world.update
            bad = FAILS[update.state](update.attempt, "no good")
            world.tell(success(update) if well else bad)
        else:
            world.tell(ev.Idle())
        if not well and not in_flight(world.update):
            break
    assert not in_flight(world.update)
    if well and serve.digest not in world.update.refused:
        assert world.serving == serve
        wants = shadow is not None and shadow.digest not in (serve.digest, *world.update.refused)
        assert world.shadow == (shadow if wants else None)


def test_the_roles_share_their_first_states() -> None:
    for state in (S.DOWNLOADING, S.VERIFYING):
        assert set(TABLE[Role.SERVE, state]) == set(TABLE[Role.SHADOW, state])
