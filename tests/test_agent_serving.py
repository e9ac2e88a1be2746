"""Serving, log lines and conditions: the small parts that deployments do not show."""

import logging
from datetime import date, datetime
from datetime import time as clock_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.commands import Conditions
from broker.conditions import within
from broker.errors import ArtifactError, ConflictError, InvalidError
from broker.messages import ActiveModel, PowerState
from edge_agent.bench import over_budget, percentile
from edge_agent.conditions import unmet
from edge_agent.loglines import BURST, LogLines
from edge_agent.modelstore import Held
from edge_agent.power.meter import NoMeter, PowerMeter
from edge_agent.runtimes.facts import ModelFacts, Sample
from edge_agent.runtimes.session import Ran
from edge_agent.served import AVERAGED, JUDGED, Figures
from edge_agent.serving import Server

NOON = clock_time(12, 0)


class Pretended:
    """A session that answers at once, right every second time."""

    def __init__(self, fails=False):
        self.facts = ModelFacts(
            labels=("a", "b"),
            trained=True,
            samples=(
                Sample(name="s", shape=(1,), data=b"x", truth="a"),
                Sample(name="t", shape=(1,), data=b"y", truth="a"),
            ),
        )
        self.fails = fails

    def run(self, sample):
        if self.fails:
            raise ArtifactError("the model fails on its input", code="inference_failed")
        return Ran(sample % 2, 0.001)

    def infer(self, values):
        return Ran(len(values) % 2, 0.001)

    def best(self, output):
        return output

    def top(self, output):
        return output, 0.9

    def difference(self, _sample, _output):
        return None


@pytest.fixture
def server():
    built = []

    def build(session=None, **options):
        meter = (
            PowerMeter(sensor=None, read_mw=lambda: 2_000.0, now=lambda: 0.0)
            if options.pop("meter", False)
            else NoMeter()
        )
        made = Server(meter, rate=1_000.0, on_fault=options.pop("on_fault", lambda _: None))
        built.append(made)
        if session is not None:
            made.swap(session, Held(model=ActiveModel(model="m", artifact_sha256="a", runtime="r")))
        return made

    yield build
    for made in built:
        made.close()


def served(server):
    taken = server.take()
    while not taken.inferences:
        taken = server.take()
    return taken


def test_a_serving_model_counts_and_judges_its_answers(server):
    taken = served(server(Pretended()))

    assert taken.latency_ms.p50 == pytest.approx(1.0)
    assert taken.answer.truth == "a"
    assert taken.energy_mj is None
    assert 0 <= taken.top1_pct <= 100


class Counted:
    """A meter that knows how often it was read."""

    sensor = None

    def __init__(self):
        self.read = 0

    def begin(self):
        self.read += 1

    def end(self, busy_s):
        return 2_000.0 * busy_s


@pytest.mark.parametrize(("rate", "at_once"), [(1e9, 10), (500.0, 1)])
def test_the_meter_is_read_once_for_ten_milliseconds_where_more_is_asked_for_than_the_model_can(rate, at_once):
    meter = Counted()
    serving = Server(meter, rate=rate, on_fault=lambda _: None)
    serving.swap(Pretended(), Held(model=ActiveModel(model="m", artifact_sha256="a", runtime="r")))
    first = served(serving)
    serving.close()
    rest = serving.take()

    assert first.inferences + rest.inferences == 1 + at_once * (meter.read - 1)
    assert first.energy_mj == pytest.approx(2.0)
    assert first.latency_ms.max == pytest.approx(1.0)


def test_the_confidence_of_an_answer_is_worked_out_when_telemetry_asks_not_at_each_inference(server):
    asked = []
    session = Pretended()
    session.top = lambda output: asked.append(output) or (output, 0.9)
    serving = server(session)
    taken = served(serving)
    serving.want(running=False)

    assert taken.answer.confidence == 0.9
    assert taken.answers.total() == taken.inferences
    assert len(asked) == 1


def test_a_model_that_rests_runs_nothing(server):
    resting = server(Pretended())
    resting.want(running=False)
    resting.take()

    assert not resting.active
    assert resting.take().inferences == 0


def test_a_paused_model_begins_no_inference_until_the_pause_is_over(server):
    serving = server(Pretended())
    served(serving)
    with serving.paused():
        serving.take()

        assert serving.active
        assert serving.take().inferences == 0
        assert serving.infer(None)
    assert served(serving).inferences


def test_an_inference_that_fails_is_told_and_serving_goes_on(server):
    told = []
    failing = server(Pretended(fails=True), on_fault=told.append)
    while not told:
        pass
    failing.swap(Pretended(), failing.held)

    assert "fails on its input" in told[0]
    assert served(failing).inferences


def test_without_a_model_there_is_nothing_to_infer_and_no_budget(server):
    empty = server()

    assert empty.budget() is None
    with pytest.raises(ConflictError):
        empty.infer(None)


def test_a_budget_without_a_meter_is_ok_and_has_no_figures(server):
    made = server(Pretended())
    made.held = Held(model=ActiveModel(model="m", artifact_sha256="a", runtime="r"), budget_mj=5.0)

    state = made.budget()
    assert (state.status, state.energy_mj, state.avg_mj, state.source) == ("ok", 5.0, None, None)


def test_the_newest_energies_are_averaged_across_what_was_taken_and_a_silent_meter_hides_none():
    figures = Figures(Pretended(), energy_mj=100.0)
    held = Held(model=ActiveModel(model="m", artifact_sha256="a", runtime="r"), budget_mj=50.0)
    assert (figures.against(held).avg_mj, figures.against(held).status) == (100.0, "over_budget")

    for energy_mj in [*[20.0] * 5, *[None] * 2 * AVERAGED]:
        figures.note(Ran(0, 0.001), energy_mj, 0)
    assert figures.against(held).avg_mj == pytest.approx(200 / 6)
    assert (figures.taken().energy_mj, figures.taken().energy_mj) == (20.0, None)

    figures.note(Ran(0, 0.001), 32.0, 0)
    assert (figures.against(held).latest_mj, figures.against(held).avg_mj) == (32.0, pytest.approx(232 / 7))
    for _ in range(AVERAGED):
        figures.note(Ran(0, 0.001), 10.0, 0)
    assert figures.against(held).avg_mj == pytest.approx(10.0)


def test_answers_are_counted_anew_each_time_and_judged_where_the_truth_is_known():
    figures = Figures(Pretended())
    for output, sample in [(0, 0), (1, 1), (0, None), (7, None)]:
        figures.note(Ran(output, 0.001), None, sample)
    taken = figures.taken()
    assert (taken.answers, taken.top1_pct) == ({"a": 2, "b": 1, "7": 1}, 50.0)
    assert (taken.answer.label, taken.answer.truth) == ("7", None)

    for _ in range(JUDGED - 1):
        figures.note(Ran(0, 0.001), None, 0)
    assert figures.taken().top1_pct == pytest.approx(100 * (JUDGED - 1) / JUDGED)
    assert (figures.taken().answers, figures.taken().answer) == ({}, None)


def test_a_budget_sentence_names_both_figures_and_how_they_were_obtained():
    assert over_budget(512.0, "ina3221", 360.0) == "measured 512 mJ against a budget of 360 mJ"
    assert over_budget(4.317, "model", 0.5) == "modelled 4.32 mJ against a budget of 0.5 mJ"
    assert over_budget(512.0, "simulated", 360.0).startswith("simulated ")
    assert over_budget(360.0, "simulated", 360.0) is None
    assert over_budget(None, None, 360.0) is None
    assert over_budget(1.0, "rapl", None) is None


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_and_rises(values, percent):
    assert min(values) <= percentile(values, percent) <= max(values)
    assert percentile(values, percent) <= percentile(values, 100)


@pytest.mark.parametrize(
    ("when", "power", "reason"),
    [
        (Conditions(soc_min_pct=40), PowerState(soc_pct=39), "soc"),
        (Conditions(soc_min_pct=40), PowerState(soc_pct=41), None),
        (Conditions(soc_min_pct=40), PowerState(), None),
        (Conditions(charging=True), PowerState(charging=False), "charging"),
        (Conditions(temp_max_c=70), PowerState(temp_c=71), "temp"),
        (Conditions(window="00:00-05:00"), PowerState(), "window"),
        (Conditions(window="22:00-13:00"), PowerState(), None),
        (None, PowerState(), None),
    ],
)
def test_conditions_say_what_is_missing(when, power, reason):
    found = unmet(when, power, datetime.combine(date(2026, 11, 25), NOON))

    assert (found and found.reason) == reason


@pytest.mark.parametrize("window", ["", "12:00", "a-b", "25:00-26:00", "1-2-3"])
def test_a_window_that_is_none_is_refused(window):
    with pytest.raises(InvalidError):
        within(window, NOON)


def test_log_lines_are_limited_and_say_how_many_were_dropped():
    clock, sent = [0.0], []
    lines = LogLines(sent.append, now=lambda: clock[0])
    record = logging.makeLogRecord({"msg": "x", "levelno": logging.ERROR})
    for _ in range(int(BURST) + 30):
        lines.emit(record)
    clock[0] = 1.0
    lines.emit(record)

    assert len(sent) == BURST + 1
    assert sent[-1].dropped == 30
    assert sent[-1].level == "error"
    assert len(lines.newest) == BURST + 31
