"""A device's past, verdicts, the catalogue and the log as rows: pure functions of documents."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import diary, history, past, shelf, verdicts, warming
from dashboard.api import Problem, Reading


def bucket(ts, energy=5.0):
    spread = {"min": energy - 1, "mean": energy, "max": energy + 1}
    return {"ts": ts, "energy_mj": spread, "latency_p50_ms": spread, "energy_source": "simulated", "model": "m"}


def test_a_gap_in_the_samples_breaks_the_line():
    table = history.frame([bucket(0), bucket(5), bucket(60), bucket(65)], 5.0)

    assert table["p50"].isna().tolist() == [False, False, True, False, False]


def test_low_mean_and_high_of_a_bucket_survive():
    row = history.energies([bucket(0)], 5.0).iloc[0]

    assert (row["energy_low"], row["energy"], row["energy_high"]) == (4.0, 5.0, 6.0)


def test_a_field_nobody_told_is_empty_not_zero():
    assert history.frame([bucket(0)], 5.0)["heat"].isna().all()


def test_a_range_without_samples_has_no_charts_and_a_field_nobody_told_has_none():
    nothing, one = Reading(document={"series": []}), Reading(document={"series": [bucket(0)], "bucket_s": 5.0})

    assert past.charts(nothing, None, None) == []
    assert [title for title, _, _ in past.charts(one, None, None)] == ["Energy per inference", "Latency"]


def test_deployments_stand_as_marks_and_the_prediction_as_a_band_in_the_chart():
    marks = [{"ts": 3.0, "model": "m", "phase": "rolled_back"}]
    reading = Reading(document={"series": [bucket(0)], "bucket_s": 5.0, "deployments": marks})

    _, aside, chart = past.charts(reading, {"low_mj": 1.0, "high_mj": 2.0}, 3.0)[0]

    assert "m: rolled back" in str(chart.spec)
    assert "predicted 1–2 mJ" in str(chart.spec)
    assert aside == "band: predicted 1–2 mJ · line: budget 3 mJ"


def test_energy_of_a_meter_and_of_a_simulation_are_two_lines_of_their_own_kind():
    both = [bucket(0) | {"energy_source": "ina3221"}, bucket(0), bucket(5)]

    found = history.energies(both, 5.0)

    assert found.groupby("source")["kind"].first().to_dict() == {"ina3221": "measured", "simulated": "simulated"}
    assert (found["source"] == "simulated").sum() == 2


def test_one_moment_of_two_sources_is_one_point_of_what_does_not_depend_on_them():
    heat = {"min": 40.0, "mean": 41.0, "max": 42.0}
    hot = {"min": 50.0, "mean": 53.0, "max": 60.0}
    both = [bucket(0) | {"temperature_c": heat, "samples": 1}, bucket(0) | {"temperature_c": hot, "samples": 3}]

    row = history.frame(both, 5.0).iloc[0]

    assert (row["heat_low"], row["heat"], row["heat_high"]) == (40.0, 50.0, 60.0)


def test_times_of_throttling_are_joined_over_neighbours_and_not_over_gaps():
    series = [bucket(ts) | {"throttled": ts in (5, 10, 100)} for ts in (0, 5, 10, 15, 100)]

    spans = history.throttled(history.frame(series, 5.0), 5.0)

    assert [each.second for each in spans["from"]] == [5, 40]
    assert [each.second for each in spans["to"]] == [15, 45]


def test_where_the_battery_charged_its_chart_is_shaded_with_a_bar_and_says_so():
    soc = {"min": 50.0, "mean": 51.0, "max": 52.0}
    shares = {0: None, 5: 0.0, 10: 0.25, 15: 1.0, 100: 1.0}
    series = [bucket(ts) | {"soc_pct": soc, "samples": 4, "charging_share": share} for ts, share in shares.items()]
    twice = [*series, bucket(5) | {"energy_source": "ina3221", "samples": 4, "charging_share": 1.0}]
    [*_, (_, aside, battery)] = past.charts(Reading(document={"series": series, "bucket_s": 5.0}), None, None)
    [*_, (_, plain, empty)] = past.charts(Reading(document={"series": series[:2], "bucket_s": 5.0}), None, None)

    assert [each.second for each in history.charging(history.frame(series, 5.0), 5.0)["from"]] == [10, 40]
    assert history.frame(twice, 5.0)["charging"].tolist()[1] == 0.5
    assert aside == "state of charge; shaded, with a bar below: charging"
    assert [layer["mark"]["type"] for layer in battery.spec["layer"]][:2] == ["rect", "rule"]
    assert (plain, "charging" in str(empty.spec)) == ("state of charge", False)


def test_answers_come_newest_first_and_know_whether_they_are_right():
    old = '{"ts": 1, "answer": {"label": "3", "truth": "8"}}'
    batch = '{"batch": [{"ts": 5, "answer": {"label": "7", "truth": "7"}}, {"ts": 4, "answer": {"label": "1"}}]}'

    said = history.answers({"telemetry": [{"payload": old}, {"payload": batch}, {"payload": "{broken"}]})

    assert [(each.label, each.right) for each in said] == [("7", True), ("1", None), ("3", False)]


@given(st.text() | st.binary() | st.none() | st.integers())
def test_no_payload_breaks_the_message_list(payload):
    assert isinstance(history.gist("device/x/telemetry", payload), str)
    assert isinstance(history.answers({"telemetry": [{"payload": payload}]}), list)


@pytest.mark.parametrize(
    ("topic", "payload", "said"),
    [
        (
            "device/x/ack",
            '{"id":"1","op":"deploy","state":"failed","reason":"disk"}',
            "op deploy · state failed · reason disk",
        ),
        ("device/x/telemetry", '{"batch":[{},{}]}', "2 samples taken while it was away"),
        ("device/x/cmd", "ping", "ping"),
    ],
)
def test_a_message_is_told_in_a_line(topic, payload, said):
    assert history.gist(topic, payload) == said


def judged(device_id, *offers, allowed=False, verdict="over"):
    found = {"allowed": allowed, "verdict": verdict, "sentence": "because", "would_fit": list(offers)}
    return verdicts.judged(device_id, Reading(document={"verdict": found}))


def test_only_a_model_that_fits_everywhere_is_offered_for_all():
    small, tiny = {"model": "small", "energy_mj": 5, "high_mj": 6, "top1_pct": 97}, {"model": "tiny", "energy_mj": 1}
    worse = small | {"high_mj": 9}

    offers = verdicts.fitting([judged("a", small, tiny), judged("b", worse)])

    assert [(each.model, each.high_mj) for each in offers] == [("small", 9)]


def test_no_answer_of_the_gate_is_a_no():
    judge = verdicts.judged("a", Reading(problem=Problem(code="unreachable", message="nobody there")))

    assert (judge.allowed, judge.overridable, judge.sentence) == (False, False, "nobody there")


def test_commands_are_quoted_for_a_shell():
    line = verdicts.cli_line("m", ["a", "b c"], 20.0, "expected", "it's for a test")

    assert (
        line
        == """edgewatt deploy m --to a --to 'b c' --energy-mj 20 --expected --force --reason 'it'"'"'s for a test'"""
    )


def test_without_a_budget_no_budget_is_sent():
    assert "energy" not in verdicts.mqtt_lines("m", ["a"], None, "mqtt://broker:1884")
    assert "-h broker -p 1884" in verdicts.mqtt_lines("m", ["a"], None, "mqtt://broker:1884")


def test_the_map_has_only_models_with_both_figures():
    models = [{"name": "a", "top1_pct": 97.0}, {"name": "b", "top1_pct": None}, {"name": "c", "top1_pct": 90.0}]
    forecast = shelf.predictions(
        [{"name": "a", "prediction": {"energy_mj": 5, "low_mj": 4, "high_mj": 6}}, {"name": "c"}]
    )

    assert [spot["name"] for spot in shelf.spots(models, forecast)] == ["a"]


EVENT = {"at": 60.0, "type": "deployment", "who": "cli", "text": "m to pi5-1", "reason": "no space", "phase": "failed"}


def test_an_event_is_told_with_its_reason_and_level():
    told = diary.told(EVENT)

    assert (told["message"], told["level"], told["origin"], told["ts"]) == (
        "m to pi5-1: no space",
        "error",
        "cli",
        60.0,
    )


def test_the_time_of_an_event_leads_to_what_else_happened_then():
    assert "events?at=1970-01-01T00%3A01%3A00Z" in diary.rows([diary.told(EVENT)], 120.0)


def test_boards_are_offered_by_how_common_they_are():
    assert shelf.boards([{"device_type": name} for name in ("b", "a", "b", "")]) == ["b", "a"]


def test_what_other_pages_draw_with_is_loaded_once_beside_the_first():
    loading = warming.begin()
    loading.join(60)

    assert warming.begin() is loading
    assert loading.daemon
    assert set(warming.LATER) <= set(sys.modules)
