"""A device's past, verdicts, the catalogue and the log as rows: pure functions of documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import charts, diary, history, shelf, verdicts
from dashboard.api import Problem, Reading


def bucket(ts, energy=5.0):
    spread = {"min": energy - 1, "mean": energy, "max": energy + 1}
    return {"ts": ts, "energy_mj": spread, "latency_p50_ms": spread, "energy_source": "simulated", "model": "m"}


def test_a_gap_in_the_samples_breaks_the_line():
    table = history.frame([bucket(0), bucket(5), bucket(60), bucket(65)], 5.0)

    assert table["energy"].isna().tolist() == [False, False, True, False, False]


def test_low_mean_and_high_of_a_bucket_survive():
    row = history.frame([bucket(0)], 5.0).iloc[0]

    assert (row["energy_low"], row["energy"], row["energy_high"]) == (4.0, 5.0, 6.0)


def test_a_field_nobody_told_is_empty_not_zero():
    assert history.frame([bucket(0)], 5.0)["heat"].isna().all()


def test_charts_are_drawn_of_nothing_too():
    empty, marks = history.frame([], 5.0), history.marks([])

    for chart in (charts.latency(empty, marks), charts.usage(empty, marks), charts.energy(empty, marks, None, None)):
        assert chart.to_dict()["layer"]


def test_deployments_stand_as_marks_in_the_chart():
    marks = history.marks([{"ts": 3.0, "model": "m", "phase": "rolled_back"}])

    assert marks["what"].tolist() == ["m: rolled back"]
    assert "m: rolled back" in str(
        charts.energy(history.frame([bucket(0)], 5.0), marks, {"low_mj": 1, "high_mj": 2}, 3).to_dict()
    )


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
