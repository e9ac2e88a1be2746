"""A rollout's life: one table, one pure function, whatever devices do and in whatever order it is heard."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from controller.rollouts.events import (
    AbortAsked,
    Changed,
    Joined,
    Open,
    PauseAsked,
    ResumeAsked,
    RollBack,
    Started,
    Tick,
    Watch,
    Watched,
    Withdraw,
)
from controller.rollouts.rollout import holds, joinable, room, step
from controller.rollouts.standing import GOOD, JUDGED, MEANS, NEXT_STANDING, UNDERWAY, Standing
from controller.rollouts.state import (
    NEXT,
    NEXT_WAVE,
    ROLLBACK_WITHIN_S,
    TERMINAL,
    Rollout,
    RolloutPhase,
    Rules,
    Wave,
    WavePhase,
    outcome,
)

P, S, W = RolloutPhase, Standing, WavePhase
DEADLINE = 1_000.0
OPEN = (S.WAITING, S.FETCHING, S.PROVING, S.AWAY)


def a_rollout(*sizes, aside=None, **rules):
    waves = tuple(Wave(counts={S.WAITING: size}) for size in sizes or (1, 4, 5))
    return Rollout(
        id="r1",
        model="m",
        who="cli",
        created_at=0.0,
        since=0.0,
        deadline_at=DEADLINE,
        waves=waves,
        rules=Rules(**rules),
        stands_aside=aside or {},
    )


def told(rollout, *events, at=1.0):
    """Return what becomes of a rollout, and every effect on the way."""
    effects = []
    for event in events:
        rollout, more = step(rollout, event, at)
        effects += more
    return rollout, effects


def moved(wave, *standings, number=1):
    return [Changed(wave=wave, before=a, after=b, number=number) for a, b in pairwise(standings)]


def well(wave, number=1):
    return moved(wave, S.WAITING, S.FETCHING, S.PROVING, S.DONE, number=number)


def badly(wave, number=1):
    return moved(wave, S.WAITING, S.FETCHING, S.FAILED, number=number)


def away(wave, number=1):
    return moved(wave, S.WAITING, S.AWAY, number=number)


def test_one_wave_after_another_to_the_end():
    rollout, effects = told(a_rollout(), Tick(), *well(0), *well(1, 4), *well(2, 5))

    assert (rollout.phase, rollout.reason) == (P.SUCCEEDED, "10 of 10 done")
    assert effects == [Open(wave=0), Open(wave=1), Open(wave=2)]
    assert [wave.phase for wave in rollout.waves] == [W.DONE] * 3


def test_it_begins_when_it_may():
    planned = a_rollout(not_before=50.0)

    assert told(planned, Tick(), at=49.0) == (planned, [])
    assert told(planned, Tick(window_open=False), at=51.0) == (planned, [])
    assert told(planned, Tick(), at=50.0)[0].phase is P.RUNNING


@pytest.mark.parametrize(
    ("action", "phase"), [("pause", P.PAUSED), ("abort", P.ABORTED), ("roll_back_all", P.ROLLED_BACK)]
)
def test_a_bad_canary_stops_it_before_anybody_else_gets_the_model(action, phase):
    rollout, effects = told(a_rollout(on_breach=action), Tick(), *badly(0))

    assert (rollout.phase, rollout.code) == (phase, "breach")
    assert rollout.reason.startswith("1 of 1 judged devices of wave 1 went wrong")
    assert Open(wave=1) not in effects
    assert rollout.count({S.WAITING}) == (9 if action == "pause" else 0)


def test_one_failure_among_many_is_allowed_once_enough_are_judged():
    rules = {"failure_percent": 10.0, "success_percent": 90.0, "fewest_judged": 5}
    running, _ = told(a_rollout(20, **rules), Tick(), *badly(0), *well(0, 3))
    assert running.phase is P.RUNNING

    assert told(running, *well(0))[0].phase is P.PAUSED
    assert told(running, *well(0, 16))[0].phase is P.SUCCEEDED


def test_what_a_wave_lacks_to_its_success_is_found_at_its_end():
    rules = {"failure_percent": 60.0, "success_percent": 80.0}
    rollout, _ = told(a_rollout(4, 10, **rules), Tick(), *well(0, 2), *badly(0, 2))

    assert (rollout.phase, rollout.reason) == (P.PAUSED, "only 2 of 4 judged devices of wave 1 went well")


def test_who_resumes_forgives_what_went_wrong_so_far_and_nothing_more():
    paused, _ = told(a_rollout(2, 4), Tick(), *badly(0), *well(0))
    going_on, effects = told(paused, ResumeAsked())

    assert (going_on.phase, going_on.wave) == (P.RUNNING, 1)
    assert effects == [Open(wave=1)]
    assert told(going_on, *badly(1), *well(1, 3))[0].phase is P.PAUSED


def test_it_may_pause_after_each_wave_but_not_after_the_last():
    paused, _ = told(a_rollout(1, 2, pause_after_waves=True), Tick(), *well(0))
    ended, _ = told(paused, ResumeAsked(), *well(1, 2))

    assert (paused.phase, paused.code, paused.reason) == (P.PAUSED, "wave_done", "wave 1 is done")
    assert ended.phase is P.SUCCEEDED


def test_those_who_are_away_are_counted_apart_and_nobody_waits_for_them():
    rollout, _ = told(a_rollout(15), Tick(), *well(0, 12), *away(0, 3))

    assert (rollout.phase, rollout.reason) == (P.SUCCEEDED, "12 of 15 done, 3 away")


def test_no_further_wave_begins_before_the_model_is_proven_somewhere():
    rollout, effects = told(a_rollout(1, 9), Tick(), *away(0), Tick(), Tick())

    assert rollout.phase is P.RUNNING
    assert rollout.waves[1].phase is W.WAITING
    assert effects == [Open(wave=0)] * 3  # those who can be reached may take the turn
    back, _ = told(rollout, *moved(0, S.AWAY, S.PROVING, S.DONE))
    assert back.wave == 1


def test_where_everybody_has_it_already_it_ends_at_once_and_says_so():
    rollout, _ = told(a_rollout(12), Tick(), *moved(0, S.WAITING, S.ALREADY, number=12))

    assert (rollout.phase, rollout.reason) == (P.SUCCEEDED, "12 of 12 already had it")


def test_it_says_why_nobody_begins_just_now():
    def said(rollout, at=1.0, window_open=True):
        return holds(rollout, at, window_open=window_open)

    running, _ = told(a_rollout(2, 3, soak_s=60.0, bytes_per_s=10.0, window="22:00-05:00"), Tick())
    assert said(a_rollout(not_before=121.0)) == "begins in 2 min"
    assert said(running) is None
    assert said(running, window_open=False) == "devices begin in the window 22:00-05:00"
    assert said(told(running, Started(download_bytes=300))[0]) == "the next device begins in 30 s"
    assert said(told(running, *well(0, 2))[0]) == "wave 1 is watched for another 1 min"
    assert said(told(a_rollout(1, 2), Tick(), *away(0))[0]) == "waits for the first device that can be reached"
    assert said(told(running, PauseAsked())[0]) is None


def test_a_wave_is_watched_after_its_last_device_is_done():
    soaking, _ = told(a_rollout(2, 3, soak_s=60.0), Tick(), *well(0, 2), at=10.0)
    assert soaking.current.phase is W.SOAKING
    assert told(soaking, Tick(), at=69.0) == (soaking, [])
    assert told(soaking, Tick(), at=70.0) == (soaking, [Watch(wave=0)])

    assert told(soaking, Watched(wave=0), at=70.0)[0].wave == 1
    over, _ = told(soaking, *moved(0, S.DONE, S.BREACHED), at=20.0)
    assert (over.phase, over.code) == (P.PAUSED, "breach")


def test_rolling_back_counts_and_awaits_everybody_who_can_be_reached():
    running, _ = told(a_rollout(3, 4, on_breach="roll_back_all", fewest_judged=3), Tick(), *well(0, 3), *well(1, 1))
    begun, effects = told(running, *moved(1, S.WAITING, S.FETCHING), *badly(1))
    assert begun.phase is P.ROLLING_BACK
    assert effects == [Withdraw(reason=begun.reason, awaited=True), RollBack()]

    ordered, _ = told(
        begun,
        *moved(0, S.TO_ROLL_BACK, S.ROLLING_BACK, S.ROLLED_BACK, number=3),
        *moved(1, S.TO_ROLL_BACK, S.ROLLBACK_AWAY),
    )
    assert ordered.phase is P.ROLLING_BACK
    ended, _ = told(ordered, *moved(1, S.FETCHING, S.WITHDRAWN))
    assert ended.phase is P.ROLLED_BACK
    assert "3 rolled back, 1 away, to roll back when they return" in ended.reason


def test_a_device_that_cannot_return_makes_the_rolling_back_a_failure():
    begun, _ = told(a_rollout(2), Tick(), *well(0), AbortAsked(reason="enough", roll_back=True))
    ended, _ = told(begun, *moved(0, S.TO_ROLL_BACK, S.ROLLING_BACK, S.ROLLBACK_FAILED))

    assert (ended.phase, ended.reason) == (
        P.FAILED,
        "enough; 0 of 2 done, 1 not begun or ended early, 1 could not roll back",
    )


def test_abort_leaves_those_done_as_they_are():
    rollout, effects = told(a_rollout(2, 3), Tick(), *well(0), *moved(0, S.WAITING, S.FETCHING), AbortAsked())

    assert rollout.phase is P.ABORTED
    assert effects[-1] == Withdraw(reason="asked for")
    assert rollout.waves[0].counts == {S.DONE: 1, S.WITHDRAWN: 1}


def test_only_so_many_download_at_once_and_starts_are_paced():
    rollout, _ = told(a_rollout(1, 9, at_once=3, bytes_per_s=100.0), Tick(), *well(0), at=10.0)
    assert room(rollout, 10.0) == 3

    paced, _ = told(rollout, *moved(1, S.WAITING, S.FETCHING), Started(download_bytes=500), at=10.0)
    assert (room(paced, 14.9), room(paced, 15.0)) == (0, 2)
    full, _ = told(paced, *moved(1, S.WAITING, S.FETCHING, number=2), at=15.0)
    assert room(full, 15.0) == 0
    assert room(told(full, *moved(1, S.FETCHING, S.PROVING), at=15.0)[0], 15.0) == 1


def test_who_is_new_joins_the_waves_still_to_come():
    running, _ = told(a_rollout(1, 2, joins=True), Tick(), *well(0))

    assert joinable(running) == (1,)
    assert told(running, Joined(wave=1))[0].waves[1].size == 3
    assert told(running, Joined(wave=0))[0] == running
    assert joinable(a_rollout(1, 2)) == ()


def test_a_failed_device_tries_again_in_the_wave_at_work():
    paused, _ = told(a_rollout(2, 2), Tick(), *badly(0), *well(0), ResumeAsked())
    again, _ = told(paused, Changed(wave=0, before=S.FAILED, after=S.WAITING, to_wave=1))

    assert again.waves[1].counts[S.WAITING] == 3
    assert again.waves[0].forgiven == 0
    assert told(again, *well(1, 3))[0].reason == "4 of 4 done"


def test_a_pause_keeps_what_is_under_way_and_lets_nobody_begin():
    paused, _ = told(a_rollout(4), Tick(), *moved(0, S.WAITING, S.FETCHING), PauseAsked(reason="lunch"))

    assert (paused.phase, paused.reason, room(paused, 1.0)) == (P.PAUSED, "lunch", 0)
    assert told(paused, *moved(0, S.FETCHING, S.DONE))[0].waves[0].counts[S.DONE] == 1


@pytest.mark.parametrize("phase", sorted(TERMINAL))
def test_terminal_never_changes(phase):
    ended = replace(a_rollout(), phase=phase)
    for event in (Tick(), AbortAsked(), ResumeAsked(), PauseAsked(), *well(0), Watched(wave=0), Joined(wave=0)):
        assert step(ended, event, 1e9) == (ended, ())


def test_each_word_for_a_standing_has_a_meaning_and_what_follows_it():
    assert set(MEANS) == set(NEXT_STANDING) == set(Standing)


RULES = st.fixed_dictionaries(
    {
        "on_breach": st.sampled_from(["pause", "abort", "roll_back_all"]),
        "failure_percent": st.sampled_from([0.0, 20.0, 100.0]),
        "success_percent": st.sampled_from([0.0, 50.0, 100.0]),
        "fewest_judged": st.integers(1, 4),
        "pause_after_waves": st.booleans(),
        "soak_s": st.sampled_from([0.0, 30.0]),
        "not_before": st.sampled_from([None, 100.0]),
        "joins": st.booleans(),
        "by_name": st.booleans(),
        "at_once": st.integers(1, 3),
    }
)


def following(table, phase):
    """Return `phase` and all that may come after it: one step may lead over several."""
    found, left = set(), [phase]
    while left:
        found.add(here := left.pop())
        left += table[here] - found
    return found


class AnyOrder(RuleBasedStateMachine):
    """Devices begin, fail, go away, come back and say nothing; people pause, resume and abort; time passes."""

    @initialize(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4), rules=RULES, had=st.integers(0, 2))
    def begin(self, sizes, rules, had):
        self.at = 0.0
        self.state = a_rollout(*sizes, aside={S.ALREADY: had} if had else None, **rules)
        self.devices = [[wave, S.WAITING] for wave, size in enumerate(sizes) for _ in range(size)]
        self.opened = []

    def see(self, event):
        before = self.state
        self.state, effects = step(before, event, self.at)
        assert self.state.phase in following(NEXT, before.phase)
        for old, new in zip(before.waves, self.state.waves, strict=True):
            assert new.phase in following(NEXT_WAVE, old.phase)
        for effect in effects:
            self.do(effect)

    def do(self, effect):
        match effect:
            case Open(wave=wave):
                if wave and not self.state.rules.by_name and wave not in self.opened:
                    assert any(s in JUDGED | {S.ALREADY} for _, s in self.devices) or self.state.stands_aside
                self.opened.append(wave)
            case Withdraw(awaited=awaited):
                for device in self.devices:
                    if device[1] in ((S.WAITING,) if awaited else OPEN):
                        device[1] = S.WITHDRAWN
            case RollBack():
                for device in self.devices:
                    if device[1] in (S.DONE, S.BREACHED):
                        device[1] = S.TO_ROLL_BACK
            case Watch(wave=wave):
                self.see(Watched(wave=wave))

    @rule(pick=st.integers(0, 99), to=st.sampled_from(sorted(set(Standing) - {S.WAITING, S.ALREADY})))
    def a_device_moves(self, pick, to):
        device = self.devices[pick % len(self.devices)]
        wave, before = device
        begun = self.state.waves[wave].phase is not W.WAITING and self.state.phase is not P.PLANNED
        allowed = to in NEXT_STANDING[before] and (before is not S.WAITING or begun)
        back = self.state.phase is P.ROLLING_BACK
        if self.state.terminal or not allowed or (to is S.TO_ROLL_BACK) != (to is S.TO_ROLL_BACK and back):
            return
        if back and to in (S.DONE, S.BREACHED):
            return
        device[1] = to
        self.see(Changed(wave=wave, before=before, after=to))

    @rule(pick=st.integers(0, 99), to=st.sampled_from(sorted(Standing)), wave=st.integers(-1, 5))
    def nonsense_is_heard(self, pick, to, wave):
        before = self.devices[pick % len(self.devices)][1]
        if to not in NEXT_STANDING[before] and to is not before:
            state = self.state
            self.see(Changed(wave=wave, before=before, after=to))
            assert self.counts() == self.model() if state.terminal else True

    @rule(seconds=st.sampled_from([0.5, 10.0, 40.0, 120.0, 400.0]), window=st.booleans())
    def time_passes(self, seconds, window):
        self.at += seconds
        self.see(Tick(window_open=window))

    @rule(event=st.sampled_from([PauseAsked(), ResumeAsked(), AbortAsked(), AbortAsked(roll_back=True)]))
    def a_person_asks(self, event):
        self.see(event)

    @rule(pick=st.integers(0, 99))
    def a_failed_device_tries_again(self, pick):
        device = self.devices[pick % len(self.devices)]
        if device[1] is S.FAILED and self.state.phase in (P.RUNNING, P.PAUSED):
            wave, to_wave = device[0], self.state.wave
            device[:] = to_wave, S.WAITING
            self.see(Changed(wave=wave, before=S.FAILED, after=S.WAITING, to_wave=to_wave))

    @precondition(lambda self: joinable(self.state))
    @rule()
    def a_device_joins(self):
        wave = joinable(self.state)[-1]
        self.devices.append([wave, S.WAITING])
        self.see(Joined(wave=wave))

    def model(self):
        return Counter((wave, standing) for wave, standing in self.devices)

    def counts(self):
        return Counter({(i, each): n for i, wave in enumerate(self.state.waves) for each, n in wave.counts.items()})

    @invariant()
    def the_counts_are_those_of_the_devices(self):
        assert self.counts() == self.model()

    @invariant()
    def only_as_many_begin_as_may(self):
        assert 0 <= room(self.state, self.at) <= self.state.rules.at_once

    @invariant()
    def what_succeeded_left_nobody_behind_who_could_be_reached(self):
        if self.state.phase is P.SUCCEEDED:
            assert not self.state.count({S.WAITING} | UNDERWAY)
            assert (
                not self.state.size
                or self.state.count(GOOD)
                or not self.state.count({S.FAILED, S.BREACHED})
                or (self.state.rules.success_percent == 0)
            )

    def teardown(self):
        """However it stands: it ends when its deadline, and an hour for rolling back, are over."""
        for at in (DEADLINE, DEADLINE + ROLLBACK_WITHIN_S):
            self.at = max(self.at, at)
            self.see(Tick())
        assert self.state.terminal
        assert outcome(self.state)
        assert self.counts() == self.model()


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase
