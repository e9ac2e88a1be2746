"""A deployment's life on the controller: one table, one pure function, whatever order news arrives in."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from broker.commands import Ack, Fault
from broker.phases import CONTROLLER_OWNED, DEVICE_OWNED, DEVICE_STEPS, NEXT, TERMINAL, Phase
from controller.deployment import (
    CancelAsked,
    Clear,
    Heard,
    Moved,
    Offer,
    Replaced,
    Tick,
    Withdraw,
    begin,
    step,
)
from controller.patience import DEADLINE_S, PATIENCE_S

P = Phase
GOOD_PATH = (P.PREDICTED, P.GATED, P.RESOLVING, P.READY, P.QUEUED, P.SENT)


def new(**changes):
    return begin(command_id="d1", device_id="pi5-1", model="m", origin="rest", at=0.0, **changes)


def at_phase(phase, **changes):
    return replace(new(**changes), phase=phase)


def ack(state, attempt=1, seq=1, **more):
    return Heard(ack=Ack(id="d1", op="deploy", state=state, attempt=attempt, seq=seq, **more))


def test_a_deployment_goes_through_the_gate_and_is_offered_once():
    deployment, offers = new(), 0
    for phase in GOOD_PATH:
        deployment, effects = step(deployment, Moved(phase=phase), 1.0)
        offers += effects.count(Offer())
        assert deployment.phase is phase

    assert offers == 1


def test_the_device_reports_its_steps_to_the_end():
    deployment = at_phase(P.SENT)
    for seq, phase in enumerate((*DEVICE_STEPS[:-1], P.SUCCEEDED), start=1):
        deployment, _ = step(deployment, ack(phase, seq=seq), float(seq))

    assert deployment.phase is P.SUCCEEDED
    assert deployment.terminal


def test_a_duplicate_and_a_reordered_ack_change_nothing():
    deployment, _ = step(at_phase(P.SENT), ack(P.PROBING, seq=5), 1.0)
    for late in (ack(P.PROBING, seq=5), ack(P.DOWNLOADING, seq=3), ack(P.ACCEPTED, seq=1)):
        assert step(deployment, late, 2.0) == (deployment, ())


def test_a_reboot_of_the_device_begins_a_greater_attempt():
    deployment, _ = step(at_phase(P.SENT), ack(P.PROBING, attempt=1, seq=9), 1.0)
    deployment, _ = step(deployment, ack(P.DOWNLOADING, attempt=2, seq=1), 2.0)

    assert (deployment.phase, deployment.attempt) == (P.DOWNLOADING, 2)


def test_terminal_never_changes():
    for phase in TERMINAL:
        ended = at_phase(phase)
        for event in (
            ack(P.SUCCEEDED, attempt=99),
            Moved(phase=P.SENT),
            CancelAsked(reason="x"),
            Tick(),
            Replaced(by="y"),
        ):
            assert step(ended, event, 1e9) == (ended, ())


def test_a_refused_request_that_a_person_typed_is_answered_on_the_wire():
    refused = Moved(phase=P.REFUSED, reason="too much", code="over_budget")

    typed, effects = step(at_phase(P.PREDICTED, typed=True), refused, 1.0)
    asked, silent = step(at_phase(P.PREDICTED), refused, 1.0)

    assert effects == (Withdraw(reason="too much", code="over_budget"),)
    assert silent == ()
    assert typed.phase is asked.phase is P.REFUSED


def test_the_agents_waiting_for_us_does_not_take_a_typed_request_out_of_our_hands():
    deployment, _ = step(at_phase(P.PREDICTED, typed=True), ack(P.WAITING, seq=2, reason="controller"), 1.0)

    assert deployment.phase is P.PREDICTED
    assert deployment.seq == 2


@pytest.mark.parametrize("phase", sorted(CONTROLLER_OWNED))
def test_a_newer_deployment_replaces_what_the_device_has_not_begun(phase):
    after, effects = step(at_phase(phase), Replaced(by="d2"), 1.0)

    assert after.phase is P.SUPERSEDED
    assert any(isinstance(effect, Withdraw) for effect in effects) == (phase in (P.QUEUED, P.SENT))


@pytest.mark.parametrize("phase", sorted(DEVICE_OWNED))
def test_what_the_device_has_begun_it_ends_itself(phase):
    running = at_phase(phase)

    assert step(running, Replaced(by="d2"), 1.0) == (running, ())
    after, effects = step(running, CancelAsked(reason="enough"), 1.0)
    assert after.phase is phase
    assert effects == (Withdraw(reason="enough"),)


def test_cancelling_what_still_waits_ends_it_and_leaves_a_tombstone():
    after, effects = step(at_phase(P.QUEUED), CancelAsked(reason="enough"), 1.0)

    assert after.phase is P.CANCELLED
    assert effects == (Withdraw(reason="enough", code="cancelled"), Clear())


@pytest.mark.parametrize("phase", sorted(set(Phase) - TERMINAL))
def test_every_waiting_phase_has_a_limit_and_then_times_out(phase):
    waiting = at_phase(phase)

    assert step(waiting, Tick(), PATIENCE_S[phase] - 1)[0].phase is phase
    after, _ = step(waiting, Tick(), PATIENCE_S[phase] + 1)
    assert after.phase is P.TIMED_OUT
    assert after.reason


def test_any_ack_begins_the_steps_limit_anew_but_not_the_deadline():
    deployment = at_phase(P.DOWNLOADING)
    late = PATIENCE_S[P.DOWNLOADING] - 1
    deployment, _ = step(deployment, ack(P.DOWNLOADING, seq=2), late)

    assert step(deployment, Tick(), late + 10)[0].phase is P.DOWNLOADING
    assert step(deployment, Tick(), DEADLINE_S)[0].phase is P.TIMED_OUT


def test_sleep_stops_both_timers():
    deployment = at_phase(P.SENT)
    for hour in range(48):
        deployment, _ = step(deployment, Tick(asleep=True), hour * 3600.0)

    assert deployment.phase is P.SENT
    assert step(deployment, Tick(), 47 * 3600.0 + 60)[0].phase is P.SENT


def test_a_device_that_sleeps_and_wakes_without_a_word_is_timed_out_by_its_waking_hours():
    deployment = at_phase(P.SENT)
    for minute in range(3 * 24 * 60):
        deployment, _ = step(deployment, Tick(asleep=minute % 60 < 50), minute * 60.0)

    assert deployment.phase is P.TIMED_OUT
    assert deployment.since > 6 * PATIENCE_S[P.SENT] - 3_600


def test_little_is_written_of_a_device_that_sleeps():
    resting, _ = step(at_phase(P.QUEUED), Tick(asleep=True), 1.0)

    assert step(resting, Tick(asleep=True), 5.0) == (resting, ())


def test_what_was_sent_to_a_device_that_is_away_waits_until_the_deadline():
    deployment, _ = step(at_phase(P.SENT), Tick(online=False), PATIENCE_S[P.SENT] * 3)

    assert deployment.phase is P.SENT
    assert step(deployment, Tick(online=False), DEADLINE_S)[0].phase is P.TIMED_OUT


def test_a_failure_says_why_and_is_no_longer_wanted():
    broken = ack(P.FAILED, error=Fault(code="hash_mismatch", msg="the file is not what was promised"))
    after, effects = step(at_phase(P.VERIFYING), broken, 1.0)

    assert (after.code, after.reason) == ("hash_mismatch", "the file is not what was promised")
    assert effects == (Clear(),)


def test_a_new_life_of_an_id_ignores_news_of_the_old_one():
    again = replace(new(typed=True, after_attempt=1), phase=P.SENT)

    assert step(again, ack(P.SUCCEEDED, attempt=1, seq=400), 1.0) == (again, ())
    assert step(again, ack(P.DOWNLOADING, attempt=2, seq=3), 1.0)[0].phase is P.DOWNLOADING


class AnyOrder(RuleBasedStateMachine):
    """Reports may be lost, repeated, reordered, and come while people and clocks interfere."""

    @initialize(typed=st.booleans())
    def start(self, typed):
        self.now = 0.0
        self.state = new(typed=typed)
        self.endings = 0

    def advance(self, event):
        before = self.state
        self.state, _ = step(before, event, self.now)
        if before.terminal:
            assert self.state == before
        if self.state.phase is not before.phase:
            self.endings += self.state.terminal
            if isinstance(event, Moved):
                assert self.state.phase in NEXT[before.phase]
            assert (self.state.attempt, self.state.seq) >= (before.attempt, before.seq)

    @rule(phase=st.sampled_from(Phase))
    def move(self, phase):
        self.advance(Moved(phase=phase))

    @rule(phase=st.sampled_from(Phase), attempt=st.integers(0, 3), seq=st.integers(0, 20))
    def hear(self, phase, attempt, seq):
        self.advance(ack(phase, attempt, seq))

    @rule(hours=st.floats(0, 30), asleep=st.booleans(), online=st.booleans())
    def wait(self, hours, asleep, online):
        self.now += hours * 3600
        self.advance(Tick(asleep=asleep, online=online))

    @rule()
    def cancel(self):
        self.advance(CancelAsked(reason="a person"))

    @rule()
    def replace_it(self):
        self.advance(Replaced(by="d2"))

    @invariant()
    def it_ends_at_most_once(self):
        if hasattr(self, "state"):
            assert self.endings == self.state.terminal

    @invariant()
    def awake_it_ends_within_its_deadline(self):
        if hasattr(self, "state"):
            awake, _ = step(self.state, Tick(), self.now)
            if not awake.terminal:
                since = self.now if self.state.asleep_at is None else self.state.asleep_at
                assert awake.deadline_at == pytest.approx(self.state.deadline_at + self.now - since)
            late, _ = step(awake, Tick(), awake.deadline_at)
            assert late.terminal


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
