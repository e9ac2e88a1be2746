"""What the fleet's documents mean: needs, headlines, agreement with the prediction."""

import pytest

from dashboard import views

NOW = 1_000_000.0


def device(device_id="d", **changes):
    base = {
        "id": device_id,
        "health": "live",
        "health_reason": "reading 2 s old",
        "active": {"model": "m"},
        "desired": {"model": "m"},
        "drift": "in step",
        "budget": {"energy_mj": 10.0, "latest_mj": 8.0, "status": "ok", "source": "ina3221"},
        "latest": {"energy": {"energy_mj": 8.0, "source": "ina3221"}},
        "predicted": {"energy_mj": 8.0, "low_mj": 7.0, "high_mj": 9.0},
    }
    return base | changes


def deployment(phase, *, device_id="d", since=NOW - 60, **changes):
    made = {"id": "dep-1", "device_id": device_id, "model": "m", "phase": phase, "since": since}
    return made | {"terminal": True, "reason": "no space"} | changes


def test_a_device_in_order_needs_nobody():
    assert views.attention([device()], [deployment("succeeded")], NOW) == []


def test_over_budget_says_how_much_and_what_kind_of_number():
    budget = {"energy_mj": 10.0, "latest_mj": 15.0, "status": "over_budget", "source": "simulated"}

    (case,) = views.attention([device(budget=budget)], [], NOW)

    said = "over its energy budget: 15 mJ simulated, allowed 10 mJ (+50%)"
    assert (case.needs[0].kind, case.needs[0].sentence) == ("over budget", said)


def test_over_budget_names_the_average_when_that_is_what_is_over():
    budget = {"energy_mj": 50.0, "latest_mj": 47.7, "avg_mj": 55.0, "status": "over_budget", "source": "simulated"}

    (case,) = views.attention([device(budget=budget)], [], NOW)

    assert case.needs[0].sentence == "over its energy budget: 55 mJ simulated on average, allowed 50 mJ (+10%)"


def test_a_device_with_two_needs_is_one_case_worst_first():
    budget = {"status": "over_budget"}
    reason = "connected, but no reading for 9 min"

    (case,) = views.attention([device(budget=budget, health="silent", health_reason=reason)], [], NOW)

    assert [need.kind for need in case.needs] == ["over budget", "silent"]


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
    cases = views.attention([device()], [newest, deployment("failed")], NOW)

    assert [need.kind for case in cases for need in case.needs] == kinds


def test_drift_waits_for_the_deployment_under_way():
    drifted = device(drift="wants b, runs a")

    assert views.attention([drifted], [deployment("downloading", terminal=False)], NOW) == []
    assert [case.needs[0].kind for case in views.attention([drifted], [], NOW)] == ["out of step"]


def test_a_model_that_costs_more_than_at_deployment_needs_a_person():
    text = "m costs d 60 % more than when it was deployed (5 mJ, source: pmic)"
    case = views.attention([device(attention=[{"code": "drift", "text": text}])], [], 0.0)[0]

    assert [(need.kind, need.sentence) for need in case.needs] == [("dearer than it was", text)]


def test_a_device_that_sleeps_on_purpose_needs_nobody():
    asleep = device(health="asleep", health_reason="sleeps until 14:05 UTC (in 9 min)")

    assert views.attention([asleep], [], NOW) == []
    assert views.headline(1, [], asleep=1).detail.startswith("The device is asleep")
    assert views.headline(3, [], asleep=1).detail.startswith("All 3 devices are live or asleep (1)")


def test_a_device_that_overslept_needs_a_person():
    (case,) = views.attention([device(health="offline", health_reason="should have woken at 14:05 UTC")], [], NOW)

    assert case.needs[0].sentence == "should have woken at 14:05 UTC"


def test_refused_messages_are_counted_by_reason():
    (case,) = views.attention([device(refused={"id_conflict": 2, "malformed": 1})], [], NOW)

    assert case.needs[0].sentence == "messages of it were refused: id conflict 2, malformed 1"


@pytest.mark.parametrize(
    ("total", "title"),
    [(0, "No devices yet"), (1, "Nothing needs you now"), (1_200, "Nothing needs you now")],
)
def test_the_headline_of_a_calm_fleet(total, title):
    assert views.headline(total, []).title == title


def test_the_headline_counts_devices_and_names_kinds():
    silent = [device(name, health="silent", health_reason="quiet") for name in "ab"]
    cases = views.attention([*silent, device("c", approved=False)], [], NOW)

    says = views.headline(40, cases)

    assert (says.title, says.detail) == ("3 of 40 devices need you", "2 silent, 1 waiting for approval.")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (8.0, "predicted 7–9 mJ, measured 8 mJ: inside"),
        (18.0, "predicted 7–9 mJ, measured 18 mJ: 100% above"),
        (3.5, "predicted 7–9 mJ, measured 3.5 mJ: 50% below"),
    ],
)
def test_prediction_beside_measurement_in_words(value, said):
    assert views.agreement(device(latest={"energy": {"energy_mj": value, "source": "pmic"}})) == said


def test_a_prediction_for_another_model_is_not_compared():
    rolled_back = device(desired={"model": "bigger"}, drift="wants bigger, runs m")

    assert views.agreement(rolled_back) == "no prediction; measured 8 mJ"


def test_a_device_that_said_nothing_is_said_to_have_said_nothing():
    quiet = device(latest=None, budget=None)

    assert views.agreement(quiet) == "predicted 7–9 mJ, nothing from the device yet"
    assert views.agreement(quiet | {"predicted": None}) == "no prediction, and no figure from the device"


def test_tags_of_all_devices_are_offered_once():
    assert views.known_tags([{"tags": {"line": "A"}}, {"tags": {"line": "A", "site": "x"}}, {}]) == ["line=A", "site=x"]
