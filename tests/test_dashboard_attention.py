"""Who needs a person, and why: one case for a device, led by what explains the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.alerts.builtin import BUILT_IN
from controller.alerts.documents import alert_document
from controller.alerts.records import Silence
from controller.alerts.state import Acknowledgement, Alert, AlertState
from dashboard import attention, need_lines, needs
from tests.dashboard.fleet_rows import device

NOW = 1_000_000.0


def deployment(phase, *, device_id="d", since=NOW - 60, **changes):
    made = {"id": "dep-1", "device_id": device_id, "model": "m", "phase": phase, "since": since}
    return made | {"terminal": True, "reason": "no space"} | changes


def alert(rule, value, *, subject="d", since=NOW - 300, state="firing", silenced_by="", **changes):
    """An open alert of one of our rules, as REST tells it."""
    found = {"rule": rule, "subject": subject, "since": since, "state": AlertState(state), "value": value}
    found |= {"reading_at": NOW - 3, "fired": 1, "fired_at": (since,), "held": state == "no_data"} | changes
    silence = Silence(id="s-1", at=NOW, until=NOW + 3_600, who=silenced_by, device_id=subject)
    return alert_document(Alert(**found), BUILT_IN[rule], [silence] if silenced_by else [], NOW)


OVER = {"energy_mj": 92.8, "latest_mj": 105.0, "status": "over_budget", "source": "simulated"}
DEARER = {"code": "drift", "text": "m costs d 57 % more than when it was deployed", "since": NOW - 310}
HOT = [alert("too-hot", 83.4), alert("dearer-than-it-was", 57.0, kind="simulated"), alert("over-budget", 113.6)]
SEEN = Acknowledgement(who="vera", at=NOW - 10, note="a fan is ordered")


def test_a_device_in_order_needs_nobody():
    assert attention.attention([device()], [deployment("succeeded")], NOW) == []


def test_over_budget_says_how_much_and_what_kind_of_number():
    budget = {"energy_mj": 10.0, "latest_mj": 15.0, "status": "over_budget", "source": "simulated"}

    (case,) = attention.attention([device(budget=budget)], [], NOW)

    said = "15 mJ simulated, budget 10 mJ (+50%)"
    assert (case.needs[0].kind, case.needs[0].sentence) == ("over budget", said)


def test_over_budget_names_the_average_when_that_is_what_is_over():
    budget = {"energy_mj": 50.0, "latest_mj": 47.7, "avg_mj": 55.0, "status": "over_budget", "source": "simulated"}

    (case,) = attention.attention([device(budget=budget)], [], NOW)

    assert case.needs[0].sentence == "55 mJ simulated on average, budget 50 mJ (+10%)"


def test_a_hot_board_whose_model_gets_dear_and_goes_over_its_budget_is_one_case_of_heat():
    (case,) = attention.attention([device(budget=OVER, attention=[DEARER])], [], NOW, alerts=HOT)

    worst = case.needs[0]
    assert [need.kind for need in case.needs] == ["too hot", "over budget", "dearer than it was"]
    assert (case.explained, case.seen) == (2, ())
    assert (worst.sentence, worst.since, worst.age_s) == ("83.4 °C, limit 80 °C", NOW - 300, 3.0)
    assert worst.alert_id == "too-hot@d"
    assert [need.alert_id for need in case.needs[1:]] == ["over-budget@d", "dearer-than-it-was@d"]


def test_over_budget_explains_the_deployment_that_it_ended_and_no_other():
    over, broken = [deployment("rolled_back", code=code) for code in ("over_budget", "load_failed")]
    raised = [alert("over-budget", 113.6), alert("deployment-failed", 1.0, deployment_id="dep-1")]

    (brought,) = attention.attention([device(budget=OVER)], [over], NOW, alerts=raised)
    (besides,) = attention.attention([device(budget=OVER)], [broken], NOW, alerts=raised)

    assert [need.kind for need in brought.needs] == [need.kind for need in besides.needs]
    assert [need.kind for need in brought.needs] == ["over budget", "rolled back"]
    assert (brought.explained, besides.explained) == (1, 0)


def test_a_device_that_is_gone_leads_what_was_last_heard_of_it():
    stale = alert("too-hot", 83.4, state="no_data", why="its readings stopped")
    gone = device(health="offline", health_reason="connection lost", reading_age_s=900.0, status_at=NOW - 890)

    (case,) = attention.attention([gone | {"budget": OVER}], [], NOW, alerts=[alert("offline", 890.0), stale])

    assert [need.kind for need in case.needs] == ["offline", "over budget", "no data"]
    assert (case.needs[0].sentence, case.needs[0].since) == ("connection lost", NOW - 890)
    assert case.needs[2].sentence == "too hot before: 83.4 °C, limit 80 °C; its readings stopped"
    assert case.needs[2].tone == "odd"


def test_a_board_whose_battery_ran_empty_is_not_called_merely_offline():
    low = [alert("battery-empty", 6.0), alert("battery-low", 6.0), alert("offline", 890.0)]
    gone = device(health="offline", health_reason="connection lost")

    (case,) = attention.attention([gone], [], NOW, alerts=low)

    assert [need.kind for need in case.needs] == ["battery empty", "offline", "battery low"]


def test_what_somebody_has_seen_is_counted_and_asks_for_nobody():
    seen = [alert("over-budget", 113.6, acknowledged=SEEN), alert("too-hot", 83.4, silenced_by="max")]

    found = attention.attention([device(budget=OVER)], [], NOW, alerts=seen)

    assert attention.asking(found) == []
    assert [need.seen for need in found[0].seen] == ["seen by vera: a fan is ordered", "silenced by max, 1 h more"]
    assert attention.headline(1, found).detail == "Somebody has seen what is wrong with 1 of them; it is not over yet."


def test_one_reason_that_nobody_has_seen_keeps_its_device_in_the_list():
    found = attention.attention([device()], [], NOW, alerts=[alert("too-hot", 83.4, acknowledged=SEEN), HOT[2]])

    (case,) = attention.asking(found)
    assert [need.kind for need in case.needs] == ["over budget"]
    assert "1 acknowledged or silenced" in need_lines.lines([case], {}, NOW)


def test_a_deployment_that_failed_after_one_was_acknowledged_asks_again():
    seen = alert("deployment-failed", 1.0, acknowledged=SEEN, deployment_id="dep-1")

    (again,) = attention.attention([device()], [deployment("failed", since=NOW - 5)], NOW, alerts=[seen])

    assert again.needs[0].kind == "failed"
    assert attention.asking(attention.attention([device()], [deployment("failed")], NOW, alerts=[seen])) == []


def test_a_paused_rollout_and_its_alert_are_one_line_and_the_controllers_own_another():
    rollout = {
        "id": "ro-1",
        "model": "m",
        "phase": "paused",
        "since": NOW - 900,
        "outcome": "2 of 9 done",
        "reason": "",
    }
    raised = [alert("rollout-paused", 900.0, subject="ro-1"), alert("broker-lost", 42.0, subject="controller")]

    found = attention.attention([], [], NOW, alerts=raised, rollouts=[rollout])

    assert [(case.device_id, case.page, case.aim) for case in found] == [
        (attention.ITSELF, "alerts", ""),
        ("m", "rollouts", "ro-1"),
    ]
    assert found[0].needs[0].sentence == "for 42 s, limit 30 s"
    assert found[1].needs[0].alert_id == "rollout-paused@ro-1"


def test_an_alert_of_a_device_that_was_not_looked_at_still_has_its_line():
    (case,) = attention.attention([], [], NOW, alerts=HOT)

    assert (case.device_id, case.needs[0].kind) == ("d", "too hot")


def test_the_worst_device_comes_first_and_flapping_is_one_line_that_says_so():
    often = alert("too-hot", 83.4, subject="b", fired=4, fired_at=(NOW - 900, NOW - 600, NOW - 300, NOW - 9))
    found = attention.attention([], [], NOW, alerts=[often, alert("offline", 890.0, subject="c"), *HOT])
    page = need_lines.lines(found, {}, NOW)

    assert [case.device_id for case in found] == ["c", "b", "d"]
    assert page.count('class="ew-need"') == 3
    assert "4 times" in page
    assert "flaps" in page


def test_further_reasons_are_named_counted_and_unfolded_when_the_address_asks():
    found = attention.attention([device(budget=OVER, refused={"malformed": 1})], [], NOW, alerts=HOT)
    folded = need_lines.lines(found, {"need": "too hot"}, NOW)

    assert "with it over budget and dearer than it was; besides with refused messages" in folded
    assert "3 more" in folded
    assert "need=too+hot&amp;more=d" in folded
    assert "malformed 1</li>" not in folded
    unfolded = need_lines.lines(found, {}, NOW, unfolded="d")
    assert unfolded.count("<li>") == 3
    assert unfolded.count("?on=") == 3


@given(
    st.lists(st.sampled_from([*HOT, alert("offline", 400.0), alert("battery-empty", 5.0), alert("clock-off", 90.0)]))
)
def test_every_reason_is_told_once_and_the_first_is_explained_by_no_other(raised):
    for case in attention.attention([device(budget=OVER)], [deployment("failed")], NOW, alerts=raised):
        about = [need.about for need in case.needs]
        assert sorted(set(about)) == sorted(about)
        assert {each["id"] for each in raised} <= {need.alert_id for need in case.needs} | {""}
        assert not case.needs[0].because & set(about)
        assert case.rank == max(need.rank for need in case.needs)


def test_the_words_of_this_list_are_those_of_what_can_be_watched():
    from controller.alerts.quantities import QUANTITIES  # noqa: PLC0415 - only this test needs it

    assert set(needs._ABOUT) <= set(QUANTITIES)


@pytest.mark.parametrize(
    ("newest", "kinds"),
    [
        (deployment("rolled_back"), ["rolled back"]),
        (deployment("rollback_failed"), ["rollback failed"]),
        (deployment("failed"), ["failed"]),
        (deployment("refused"), []),
        (deployment("cancelled"), []),
        (deployment("failed", since=NOW - 90_000), []),
    ],
)
def test_a_recent_bad_end_of_the_newest_deployment_needs_a_person(newest, kinds):
    cases = attention.attention([device()], [newest, deployment("failed")], NOW)

    assert [need.kind for case in cases for need in case.needs] == kinds


def test_drift_waits_for_the_deployment_under_way():
    drifted = device(drift="wants b, runs a")

    assert attention.attention([drifted], [deployment("downloading", terminal=False)], NOW) == []
    assert [case.needs[0].kind for case in attention.attention([drifted], [], NOW)] == ["out of step"]


def test_a_model_that_costs_more_than_at_deployment_needs_a_person():
    text = "m costs d 60 % more than when it was deployed (5 mJ, source: pmic)"
    both = [{"code": "drift", "text": text}, DEARER]
    case = attention.attention([device(attention=both)], [], NOW)[0]

    assert [(need.kind, need.sentence) for need in case.needs] == [("dearer than it was", f"{text}; {DEARER['text']}")]
    assert case.needs[0].since == DEARER["since"]


def test_a_device_that_sleeps_on_purpose_needs_nobody():
    asleep = device(health="asleep", health_reason="sleeps until 14:05 UTC (in 9 min)")

    assert attention.attention([asleep], [], NOW) == []
    assert attention.headline(1, [], {"asleep": 1}).detail.startswith("The device is asleep")
    assert attention.headline(3, [], {"asleep": 1}).detail.startswith("All 3 devices are live or asleep (1)")
    both = attention.headline(3, [], {"late": 1, "asleep": 2})
    assert both.detail.startswith("All 3 devices are late (1) or asleep (2)")


def test_a_device_that_overslept_needs_a_person():
    (case,) = attention.attention([device(health="offline", health_reason="should have woken at 14:05 UTC")], [], NOW)

    assert case.needs[0].sentence == "should have woken at 14:05 UTC"


def test_refused_messages_are_counted_by_reason():
    (case,) = attention.attention([device(refused={"id_conflict": 2, "malformed": 1})], [], NOW)

    assert case.needs[0].sentence == "messages of it were refused: id conflict 2, malformed 1"


@pytest.mark.parametrize(
    ("total", "title"),
    [(0, "No devices yet"), (1, "Nothing needs you now"), (1_200, "Nothing needs you now")],
)
def test_the_headline_of_a_calm_fleet(total, title):
    assert attention.headline(total, []).title == title


def test_the_headline_counts_devices_and_names_kinds():
    silent = [device(name, health="silent", health_reason="quiet") for name in "ab"]
    cases = attention.attention([*silent, device("c", approved=False)], [], NOW)

    says = attention.headline(40, cases)

    assert (says.title, says.detail) == ("3 of 40 devices need you", "2 silent, 1 waiting for approval.")


def test_the_headline_of_one_case_names_it_and_all_that_is_wrong():
    cases = attention.attention([device(budget=OVER)], [], NOW, alerts=HOT)

    says = attention.headline(5, cases)

    assert (says.title, says.detail) == ("1 of 5 devices needs you", "d: too hot, over budget, dearer than it was.")
