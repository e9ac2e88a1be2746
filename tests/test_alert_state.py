"""The life of an alert as a table, and under anything: readings, silence of the device, people, restarts."""

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from controller.alerts.quantities import Reading
from controller.alerts.rises import Rises
from controller.alerts.rule import Rule
from controller.alerts.state import (
    FLAPS_FROM,
    FLAPS_WITHIN_S,
    KEPT_S,
    NEXT,
    Acknowledged,
    Alert,
    AlertState,
    NoNews,
    Note,
    Notify,
    Read,
    goes_on,
    step,
)

S = AlertState
HOT = Rule(name="hot", quantity="temperature_c", comparison=">=", threshold=80.0, clear=75.0, for_s=10.0)
AT_ONCE = Rule(name="hot", quantity="temperature_c", comparison=">=", threshold=80.0)
DEAR = Rule(name="dear", quantity="energy_mj", comparison=">", threshold=50.0)


def new(rule=HOT, at=0.0):
    return Alert(rule=rule.name, subject="pi5-1", since=at)


def after(rule, *story, alert=None, silenced=False):
    """Tell a story of (at, value | None | (value, kind)); return the alert and every effect."""
    alert, told = alert or new(rule), []
    for at, said in story:
        value, kind = said if isinstance(said, tuple) else (said, "")
        event = NoNews(why="gone") if value is None else Read(reading=Reading(value=value, at=at, kind=kind))
        alert, effects = step(alert, event, rule, at, silenced=silenced)
        told += effects
    return alert, told


def notes(effects):
    return [each.word for each in effects if isinstance(each, Note)]


def notices(effects):
    return [each.word for each in effects if isinstance(each, Notify)]


def test_a_breach_is_pending_until_it_has_lasted_and_then_fires_once():
    alert, effects = after(HOT, (0, 81), (5, 82))
    assert (alert.state, alert.since, effects) == (S.PENDING, 0, [])

    alert, effects = after(HOT, (10, 83), (15, 84), alert=alert)
    assert (alert.state, alert.value, notes(effects), notices(effects)) == (S.FIRING, 84, ["firing"], ["firing"])


def test_a_breach_that_does_not_last_is_forgotten():
    alert, effects = after(HOT, (0, 81), (5, 79), (9, 81), (15, 82))

    assert (alert.state, alert.since, effects) == (S.PENDING, 9, [])


def test_it_clears_below_its_own_threshold_only_and_then_is_resolved_for_a_day():
    alert, _ = after(HOT, (0, 81), (10, 82), (20, 79), (30, 76))
    assert alert.state is S.FIRING

    alert, effects = after(HOT, (40, 75), alert=alert)
    assert (alert.state, notes(effects), notices(effects)) == (S.RESOLVED, ["resolved"], ["resolved"])
    assert after(HOT, (50, 70), alert=alert)[0].state is S.RESOLVED
    assert after(HOT, (41 + KEPT_S, 70), alert=alert)[0].state is S.OK


def test_it_clears_only_once_readings_were_fine_for_long_enough():
    patient = Rule(name="hot", quantity="temperature_c", comparison=">=", threshold=80.0, clear_for_s=60.0)
    alert, _ = after(patient, (0, 90), (10, 70), (40, 70), (50, 85), (60, 70), (119, 70))
    assert (alert.state, alert.clear_since) == (S.FIRING, 60)

    assert after(patient, (120, 70), alert=alert)[0].state is S.RESOLVED


def test_it_never_clears_because_news_stopped():
    alert, effects = after(HOT, (0, 81), (10, 82), (400, None), (9_999, None))

    assert (alert.state, alert.held, alert.open, alert.since) == (S.NO_DATA, True, True, 400)
    assert notes(effects) == ["firing", "no_data"]
    back, effects = after(HOT, (10_000, 82), alert=alert)
    assert (back.state, back.fired, notes(effects), notices(effects)) == (S.FIRING, 1, ["data_back"], [])
    over, effects = after(HOT, (10_000, 60), alert=alert)
    assert (over.state, notes(effects)) == (S.RESOLVED, ["resolved"])


def test_no_data_is_a_state_of_its_own_also_where_all_was_well():
    alert, effects = after(HOT, (0, None))

    assert (alert.state, alert.open, effects) == (S.NO_DATA, False, [])
    assert after(HOT, (1, 60), alert=alert)[0].state is S.OK
    assert after(HOT, (1, 90), alert=alert)[0].state is S.PENDING


def test_a_pending_one_that_loses_its_data_begins_anew():
    alert, _ = after(HOT, (0, 81), (400, None), (410, 81))

    assert (alert.state, alert.since) == (S.PENDING, 410)


def test_a_reading_that_was_judged_already_is_no_news():
    alert, _ = after(AT_ONCE, (0, 81))

    again, effects = step(alert, Read(reading=Reading(value=10.0, at=0.0)), AT_ONCE, 500.0)
    assert (again, effects) == (alert, ())


def test_a_clock_that_was_set_back_does_not_freeze_it():
    alert, _ = after(AT_ONCE, (9_000, 90))

    over, effects = step(alert, Read(reading=Reading(value=50.0, at=1_000.0)), AT_ONCE, 1_000.0)
    assert (over.state, notes(effects)) == (S.RESOLVED, ["resolved"])


def test_one_that_flaps_is_one_entry_with_a_count_and_one_notice():
    story = [(60 * n, 90 if n % 2 == 0 else 70) for n in range(12)]
    alert, effects = after(AT_ONCE, *story)

    assert (alert.fired, len(alert.fired_at), alert.flaps(660)) == (6, 6, True)
    assert notes(effects).count("firing") == 6
    assert notices(effects) == ["firing", "resolved", "firing", "resolved", "firing"]
    quiet, effects = after(AT_ONCE, (600 + FLAPS_WITHIN_S, 70), alert=alert)
    assert (quiet.state, notices(effects), quiet.flaps(600 + FLAPS_WITHIN_S)) == (S.RESOLVED, ["resolved"], False)


def test_an_acknowledgement_lasts_until_it_fires_anew_and_longer_while_it_flaps():
    alert, _ = after(AT_ONCE, (0, 90))
    alert, effects = step(alert, Acknowledged(who="cli", note="fan ordered"), AT_ONCE, 5.0)
    assert (alert.acknowledged.who, alert.acknowledged.note, notes(effects)) == ("cli", "fan ordered", ["acknowledged"])

    again, effects = after(AT_ONCE, (10, 70), (20, 90), alert=alert)
    assert again.acknowledged is None
    assert notices(effects) == ["resolved", "firing"]

    flapping, _ = after(AT_ONCE, (30, 70), (40, 90), alert=again)
    flapping, _ = step(flapping, Acknowledged(who="cli"), AT_ONCE, 45.0)
    flapping, effects = after(AT_ONCE, (50, 70), (60, 90), alert=flapping)
    assert (flapping.acknowledged is not None, notices(effects)) == (True, [])


def test_only_what_is_open_can_be_acknowledged():
    assert step(new(), Acknowledged(who="cli"), HOT, 1.0) == (new(), ())


def test_a_silenced_one_runs_on_and_is_told_of_when_the_silence_is_over():
    alert, effects = after(AT_ONCE, (0, 90), (10, 91), silenced=True)
    assert (alert.state, notes(effects), notices(effects)) == (S.FIRING, ["firing"], [])

    _, effects = step(alert, Read(reading=Reading(value=91.0, at=10.0)), AT_ONCE, 20.0)
    assert effects == (Notify(word="firing"),)


def test_simulated_readings_never_end_what_measured_ones_began():
    alert, _ = after(DEAR, (0, (60, "measured")), (10, (5, "simulated")))
    assert (alert.state, alert.value, alert.kind) == (S.FIRING, 60, "measured")

    alert, _ = after(DEAR, (400, (5, "simulated")), (410, (99, "simulated")), alert=alert)
    assert (alert.state, alert.held, alert.why) == (S.NO_DATA, True, "energies are simulated now, measured before")
    assert after(DEAR, (420, (5, "measured")), alert=alert)[0].state is S.RESOLVED


def test_a_breach_of_another_kind_begins_to_last_anew():
    dear = Rule(name="dear", quantity="energy_mj", comparison=">", threshold=50.0, for_s=10.0)
    alert, _ = after(dear, (0, (60, "measured")), (11, (60, "modelled")))

    assert (alert.state, alert.since, alert.kind) == (S.PENDING, 11, "modelled")


class AnyStory(RuleBasedStateMachine):
    """Readings, gaps, people, silences, restarts and clocks in any order."""

    @initialize(
        for_s=st.sampled_from([0.0, 10.0]), clear=st.sampled_from([None, 40.0]), wait=st.sampled_from([0.0, 30.0])
    )
    def begin(self, for_s, clear, wait):
        self.rule = Rule(
            name="dear",
            quantity="energy_mj",
            comparison=">",
            threshold=50.0,
            for_s=for_s,
            clear=clear,
            clear_for_s=wait,
        )
        self.at, self.alert = 1_000.0, new(self.rule, 1_000.0)
        self.silenced, self.owed, self.began = False, False, 0

    def take(self, event):
        before = self.alert
        self.alert, effects = step(before, event, self.rule, self.at, silenced=self.silenced)
        assert self.alert.state is before.state or self.alert.state in NEXT[before.state]
        if before.open and not self.alert.open:
            assert isinstance(event, Read)
            assert event.reading.at > before.reading_at
            assert self.rule.cleared(event.reading.value)
            assert event.reading.kind == before.kind
        if isinstance(event, Read) and goes_on(before, event.reading, self.rule, self.at):
            figure = {"value": self.alert.value, "reading_at": self.alert.reading_at}
            assert (self.alert, effects) == (replace(before, **figure), ())
        self.began += notes(effects).count("firing")
        assert len(notices(effects)) <= 1
        assert len(notes(effects)) <= 1

    @rule(seconds=st.sampled_from([1.0, 5.0, 11.0, 400.0, 4_000.0, 90_000.0]))
    def time_passes(self, seconds):
        self.at += seconds

    @rule(
        value=st.sampled_from([10.0, 45.0, 50.0, 50.1, 99.0]),
        kind=st.sampled_from(["measured", "simulated"]),
        age=st.sampled_from([0.0, 0.0, 3.0, 500.0]),
    )
    def a_reading(self, value, kind, age):
        self.take(Read(reading=Reading(value=value, at=self.at - age, kind=kind)))

    @rule()
    def news_stop(self):
        self.take(NoNews(why="gone"))

    @rule()
    def a_person_has_seen_it(self):
        self.take(Acknowledged(who="cli"))

    @rule(silenced=st.booleans())
    def a_person_silences(self, silenced):
        self.silenced = silenced

    @rule()
    def a_restart(self):
        kept = msgspec.json.decode(msgspec.json.encode(self.alert), type=Alert)
        assert kept == self.alert
        self.alert = kept

    @rule()
    def a_second_look_at_the_same(self):
        if self.alert.reading_at is not None and self.alert.state is not S.NO_DATA:
            before = self.alert
            value = Reading(value=999.0, at=before.reading_at, kind=before.kind)
            after, _ = step(before, Read(reading=value), self.rule, self.at, silenced=True)
            assert after.state is before.state

    @rule()
    def silence_ends_and_nothing_is_lost(self):
        self.silenced = False
        self.take(NoNews(why="gone"))
        if self.alert.open and self.alert.acknowledged is None:
            assert self.alert.told

    @invariant()
    def it_is_consistent(self):
        if not hasattr(self, "alert"):
            return
        alert = self.alert
        assert alert.fired <= self.began
        assert alert.open == (alert.state is S.FIRING or (alert.state is S.NO_DATA and alert.held))
        assert not alert.open or alert.fired_at
        assert alert.held is False or alert.state is S.NO_DATA
        assert alert.acknowledged is None or alert.fired
        assert len(alert.fired_at) <= 20


def test_any_story_keeps_its_promises():
    run_state_machine_as_test(AnyStory, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))


def test_flapping_takes_several_beginnings_within_the_hour():
    apart = [(0, 90), (10, 70), (FLAPS_WITHIN_S + 1, 90), (FLAPS_WITHIN_S + 10, 70), (2 * FLAPS_WITHIN_S + 2, 90)]
    alert, _ = after(AT_ONCE, *apart)

    assert alert.fired == FLAPS_FROM
    assert not alert.flaps(2 * FLAPS_WITHIN_S + 2)


@pytest.mark.parametrize("state", list(S))
def test_each_state_can_be_left(state):
    assert NEXT[state]


def test_a_rise_is_counted_over_ten_minutes_and_a_count_that_stands_still_takes_one_entry():
    rises = Rises()
    told = [rises.rise("a", 5 if second < 700 else 8, float(second)) for second in range(0, 1_500, 10)]

    assert told[:60] == [None] * 60
    assert told[60:70] == [0.0] * 10
    assert told[70:130] == [3.0] * 60
    assert told[130:] == [0.0] * 20
    assert len(rises._became["a"]) == 1
    assert rises.rise("a", 9, 10.0) is None
