"""The power governor: when it steps, what a ladder may say, and what a device does on a rung."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from broker.messages import PowerState
from edge_agent.compose import machine
from edge_agent.governor import Ladder, Rung, condition, govern, model_of, rate_of, reason
from edge_agent.ladder import MOST_RUNGS, ladder_of
from tests.agent_bench import deploy, running, settings
from tests.artifact_server import serving
from tests.tiny_models import tiny_model

# when it steps

PCT, CELSIUS = st.integers(0, 100).map(float), st.integers(-20, 120).map(float)
POWERS = st.builds(PowerState, soc_pct=st.none() | PCT, temp_c=st.none() | CELSIUS)


@st.composite
def ladders(draw, heat=True):
    """Draw a ladder as `ladder_of` would let it pass."""
    count = draw(st.integers(1, 4))
    socs = sorted(draw(st.sets(st.integers(1, 99), min_size=count, max_size=count)), reverse=True)
    temps = sorted(draw(st.sets(st.integers(0, 100), min_size=count, max_size=count)))
    rungs = []
    for i in range(count):
        cold = draw(st.booleans()) if heat else True
        hot = heat and (not cold or draw(st.booleans()))
        rungs.append(
            Rung(soc_below_pct=socs[i] if cold else None, temp_above_c=temps[i] if hot else None, rate=1.0 / (i + 1))
        )
    return Ladder(rungs=tuple(rungs), hysteresis_pct=draw(st.integers(1, 20)), hysteresis_c=draw(st.integers(1, 20)))


LADDERS = ladders()


def worse(power, less_pct, more_c):
    """Return `power` with less battery and more heat; what is unknown stays unknown."""
    return replace(
        power,
        soc_pct=None if power.soc_pct is None else power.soc_pct - less_pct,
        temp_c=None if power.temp_c is None else power.temp_c + more_c,
    )


@given(LADDERS, POWERS, st.data())
def test_a_rung_is_one_of_the_ladder_and_asking_again_changes_nothing(ladder, power, data):
    now = data.draw(st.integers(0, len(ladder.rungs)))
    rung = govern(ladder, power, now)

    assert 0 <= rung <= len(ladder.rungs)
    assert govern(ladder, power, rung) == rung


@given(LADDERS, POWERS, st.integers(0, 50), st.integers(0, 50), st.data())
def test_less_battery_or_more_heat_never_calls_for_a_milder_rung(ladder, power, less, more, data):
    now = data.draw(st.integers(0, len(ladder.rungs)))

    assert govern(ladder, worse(power, less, more), now) >= govern(ladder, power, now)


@given(ladders(heat=False), PCT, st.lists(st.floats(0, 0.99), min_size=2, max_size=30))
def test_a_battery_that_moves_less_than_the_hysteresis_never_steps_back(ladder, base, places):
    now, stood = 0, []
    for place in places:
        now = govern(ladder, PowerState(soc_pct=base + place * ladder.hysteresis_pct), now)
        stood.append(now)

    assert stood == sorted(stood)


@given(st.integers(10, 80), st.integers(1, 10), st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_inside_the_band_nothing_ever_steps(bound, slack, places):
    ladder = Ladder(
        rungs=(Rung(soc_below_pct=bound, temp_above_c=bound, rate=0.1),), hysteresis_pct=slack, hysteresis_c=slack
    )
    for now in (0, 1):
        rung = now
        for place in places:
            inside = PowerState(soc_pct=bound + place * slack * 0.999, temp_c=bound - place * slack * 0.999)
            rung = govern(ladder, inside, rung)
        assert rung == now


@given(LADDERS, st.data())
def test_what_nobody_measures_is_no_reason_to_step(ladder, data):
    now = data.draw(st.integers(0, len(ladder.rungs)))

    assert govern(ladder, PowerState(), now) == now


@given(LADDERS, POWERS, st.data())
def test_a_rung_is_entered_only_for_a_figure_that_breaks_its_bound(ladder, power, data):
    now = data.draw(st.integers(0, len(ladder.rungs)))
    rung = govern(ladder, power, now)
    if rung in (0, now):
        return
    entered = ladder.rungs[rung - 1]
    cold = entered.soc_below_pct is not None and power.soc_pct is not None and power.soc_pct < entered.soc_below_pct
    hot = entered.temp_above_c is not None and power.temp_c is not None and power.temp_c > entered.temp_above_c

    assert cold or hot
    assert reason(ladder, power, rung, now) != "nothing is measured"
    assert condition(ladder, power, rung)


def test_a_board_without_a_battery_comes_back_from_the_heat():
    ladder = Ladder(rungs=(Rung(soc_below_pct=30, temp_above_c=75, rate=0.2),))
    rung = govern(ladder, PowerState(temp_c=80), 0)

    assert rung == 1
    assert govern(ladder, PowerState(temp_c=71), rung) == 1
    assert govern(ladder, PowerState(temp_c=69), rung) == 0


def test_a_rung_says_what_it_changes_and_takes_the_rest_from_the_milder_one():
    ladder = Ladder(
        rungs=(Rung(soc_below_pct=30, rate=0.2), Rung(soc_below_pct=15, model="s"), Rung(temp_above_c=80, rate=0.1))
    )

    assert [(rate_of(ladder, n), model_of(ladder, n)) for n in range(4)] == [
        (None, None),
        (0.2, None),
        (0.2, "s"),
        (0.1, "s"),
    ]


def test_the_words_tell_the_figure_and_how_long_it_stays():
    ladder = Ladder(rungs=(Rung(soc_below_pct=30, temp_above_c=75, rate=0.2),))

    assert reason(ladder, PowerState(soc_pct=28, temp_c=50), 1, 0) == "battery 28 %"
    assert reason(ladder, PowerState(soc_pct=29.6, temp_c=76.04), 1, 0) == "battery 29.6 %, 76 °C"
    assert reason(ladder, PowerState(soc_pct=41), 0, 1) == "battery 41 %"
    assert condition(ladder, PowerState(soc_pct=28), 1) == "battery < 30 %"
    assert condition(ladder, PowerState(), 1) == "battery < 30 % or temperature > 75 °C"
    assert condition(ladder, PowerState(), 0) is None


# what a ladder may say


def rungs(*each, **more):
    return {"rungs": list(each), **more}


COLD = {"soc_below_pct": 30, "rate": 0.2}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ([], "governor must be an object"),
        (rungs("x"), "rungs[0] must be an object"),
        ({"rungs": {}}, "must be a list of at most 8"),
        (rungs(*[COLD] * (MOST_RUNGS + 1)), "must be a list of at most 8"),
        (rungs(COLD, speed=1), "governor knows no 'speed', only hysteresis_c, hysteresis_pct, rungs"),
        (rungs({"soc_below_pct": 30, "rat": 1}), "rungs[0] knows no 'rat'"),
        (rungs({"soc_below_pct": 100, "rate": 1}), "rungs[0].soc_below_pct must be a number from 1 to 99"),
        (rungs({"soc_below_pct": True, "rate": 1}), "must be a number"),
        (rungs({"temp_above_c": "hot", "rate": 1}), "rungs[0].temp_above_c must be a number"),
        (rungs({"soc_below_pct": 30, "rate": 0}), "rungs[0].rate must be a number from 0.01 to 1000"),
        (rungs({"soc_below_pct": 30, "rate": float("nan")}), "must be a number"),
        (rungs({"soc_below_pct": 30, "model": 3}), "rungs[0].model must be the name or the SHA-256"),
        (rungs({"rate": 1}), "would never be stood on"),
        (rungs({"soc_below_pct": 30}), "would change nothing"),
        (rungs(COLD, hysteresis_pct=0), "governor.hysteresis_pct must be a number from 0.5 to 50"),
        (rungs(COLD, {"soc_below_pct": 30, "rate": 0.1}), "rungs[1].soc_below_pct is 30 after 30: it must fall"),
        (rungs({"temp_above_c": 80, "rate": 1}, {"temp_above_c": 70, "model": "m"}), "70 after 80: it must rise"),
        (rungs(COLD, {"soc_below_pct": 15, "rate": 0.5}), "rungs[1].rate is 0.5 after 0.2: it must not rise"),
        (rungs(COLD, {"soc_below_pct": 15, "rate": 0.2}), "rungs[1] changes nothing"),
        (rungs({"soc_below_pct": 97, "rate": 1}), "would be left at over 100 % of battery only"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused_by_its_path(wanted, said):
    with pytest.raises(InvalidError) as refused:
        ladder_of(wanted)

    assert refused.value.code == "bad_config"
    assert said in refused.value.message
    ladder_of(json.loads(refused.value.hint)["governor"])


def test_the_ladder_of_the_how_to_is_one():
    page = (Path(__file__).parent.parent / "docs/how-to/govern-power.md").read_text()
    shown = json.loads(page.partition("```json")[2].partition("```")[0])

    assert len(ladder_of(shown["governor"]).rungs) == 2


@pytest.mark.parametrize("nothing", [None, {}, {"rungs": []}])
def test_no_rungs_are_no_ladder(nothing):
    assert ladder_of(nothing) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(-5, 200),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["rungs", "rate", "model", "soc_below_pct", "temp_above_c"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_anything_is_a_ladder_or_refused(value):
    try:
        ladder = ladder_of(value)
    except InvalidError as error:
        assert error.code == "bad_config"
    else:
        assert ladder is None or 0 < len(ladder.rungs) <= MOST_RUNGS


# what a device does on a rung


class Weather:
    """A board whose battery and heat the test says."""

    def __init__(self, **power):
        self.power = PowerState(**power)

    def machine(self, folder):
        told = settings(folder)
        return replace(machine(told, told.device_type), power=lambda: self.power)


@pytest.fixture
def weather():
    return Weather(soc_pct=80.0, temp_c=50.0)


def governed(folder, weather, **changes):
    return running(folder, part_changes={"machine": weather.machine(folder)}, rate=50.0, **changes)


def config(command_id="c", **ladder):
    return {"id": command_id, "op": "config", "config": {"governor": ladder or None}}


async def stands(bench, rung, *, runs=None):
    """Wait until the state says so, and return what it says of the governor."""

    def so():
        said = bench.state.governor
        return said is not None and said.rung == rung and runs in (None, said.runs)

    await bench.until(so, f"rung {rung} running {runs}")
    return bench.state.governor


async def test_the_rate_goes_down_with_the_battery_and_comes_back_beyond_the_hysteresis(tmp_path, weather):
    async with governed(tmp_path, weather) as bench:
        end = await bench.do(config(rungs=[COLD]))
        assert end.result["governor"]["rung"] == 0

        weather.power = PowerState(soc_pct=28.0, temp_c=50.0)
        said = await stands(bench, 1)
        assert (said.of, said.rate, said.reason, said.condition) == (1, 0.2, "battery 28 %", "battery < 30 %")
        assert bench.agent.server.rate == 0.2
        await bench.until(lambda: any(each["rate"] == 0.2 for each in bench.said("telemetry")), "a sample at that rate")

        weather.power = PowerState(soc_pct=34.0)
        await bench.do({"id": "p", "op": "ping"})
        assert bench.state.governor.rung == 1
        weather.power = PowerState(soc_pct=36.0)
        assert (await stands(bench, 0)).reason == "battery 36 %"
        assert bench.agent.server.rate == 50.0


async def test_a_rung_never_runs_faster_than_the_device_was_set_to(tmp_path, weather):
    weather.power = PowerState(soc_pct=10.0)
    async with governed(tmp_path, weather) as bench:
        await bench.do(config(rungs=[COLD]))
        await bench.do({"id": "r", "op": "config", "config": {"rate": 0.1}})
        assert (await stands(bench, 1)).rate == 0.1
        await bench.do({"id": "s", "op": "config", "config": {"rate": 9}})
        assert bench.agent.server.rate == 0.2


async def test_a_smaller_resident_model_takes_over_and_the_deployed_one_stays_the_active_one(tmp_path, weather):
    big, small = tiny_model("big", seed=1), tiny_model("small", seed=2)
    with serving() as server:
        async with governed(tmp_path, weather) as bench:
            await bench.do(deploy(server, small, "d1", gen=1, model="small"))
            await bench.do(deploy(server, big, "d2", gen=2, model="big"))
            await bench.do(config(rungs=[{"temp_above_c": 75, "model": "small", "rate": 5}]))
            weather.power = PowerState(temp_c=76.0)
            said = await stands(bench, 1, runs="small")

            assert (said.model, said.rate, said.condition) == ("small", 5, "temperature > 75 °C")
            assert bench.state.active.model == "big"
            assert bench.state.phase == "running"
            since = len(bench.said("telemetry"))
            await bench.until(lambda: len(bench.said("telemetry")) > since, "a sample")
            assert bench.said("telemetry")[-1]["model"] == "small"

            weather.power = PowerState(temp_c=60.0)
            assert (await stands(bench, 0, runs="big")).model is None


async def test_a_model_of_the_ladder_stays_on_the_device_through_later_deployments(tmp_path, weather):
    models = {name: tiny_model(name, seed=n) for n, name in enumerate(["small", "second", "third", "fourth"])}
    with serving() as server:
        async with governed(tmp_path, weather, keep_mb=0.0) as bench:
            for gen, name in enumerate(models, start=1):
                await bench.do(deploy(server, models[name], f"d{gen}", gen=gen, model=name))
                if name == "second":
                    sha = hashlib.sha256(models["small"]).hexdigest()
                    await bench.do(config(rungs=[{"soc_below_pct": 20, "model": sha}]))
            kept = {path.name for path in (tmp_path / "models" / "sha256").iterdir()}
            assert kept == {hashlib.sha256(models[n]).hexdigest() for n in ("small", "third", "fourth")}
            weather.power = PowerState(soc_pct=10.0)
            await stands(bench, 1, runs="small")

            weather.power = PowerState(soc_pct=10.0)
            await bench.do(deploy(server, models["second"], "d9", gen=9, model="second"))
            await stands(bench, 1, runs="small")
            assert bench.state.active.model == "second"


async def test_a_model_that_is_not_on_the_device_is_refused_and_nothing_changes(tmp_path, weather):
    with serving() as server:
        async with governed(tmp_path, weather) as bench:
            await bench.do(deploy(server, model="only"))
            end = await bench.do(
                {
                    "id": "c",
                    "op": "config",
                    "config": {"rate": 3, "governor": rungs({"temp_above_c": 70, "model": "x"})},
                }
            )

    assert (end.state, end.error.code) == ("failed", "not_resident")
    assert "names 'x'" in end.error.msg
    assert "these are: only" in end.error.msg
    assert bench.state.governor is None
    assert bench.agent.server.rate == 50.0


async def test_ladder_and_rung_outlive_a_restart_and_null_ends_them(tmp_path, weather):
    with serving() as server:
        async with governed(tmp_path, weather) as bench:
            await bench.do(deploy(server, tiny_model("small"), "d1", gen=1, model="small"))
            await bench.do(deploy(server, tiny_model("big", seed=3), "d2", gen=2, model="big"))
            await bench.do(config(rungs=[{"soc_below_pct": 30, "model": "small", "rate": 0.5}]))
            weather.power = PowerState(soc_pct=29.0)
            since = (await stands(bench, 1, runs="small")).since
        weather.power = PowerState(soc_pct=33.0)
        async with governed(tmp_path, weather) as bench:
            said = await stands(bench, 1, runs="small")
            assert (said.since, said.reason) == (since, "battery 29 %")

            await bench.do(config("again", rungs=[{"soc_below_pct": 30, "model": "small", "rate": 0.5}]))
            assert (bench.state.governor.rung, bench.state.governor.since) == (1, since)

            await bench.do(config("off"))
            await bench.until(lambda: bench.agent.server.held.model.model == "big", "big runs again")
            assert bench.state.governor is None
            assert bench.agent.server.rate == 50.0


async def test_a_desired_config_sets_a_ladder_and_a_bad_one_is_counted(tmp_path, weather):
    async with governed(tmp_path, weather) as bench:
        bench.desire({"gen": 1, "config": {"governor": rungs(COLD)}})
        await stands(bench, 0)
        bench.desire({"gen": 2, "config": {"governor": rungs({"rate": 1})}})
        await bench.until(lambda: bench.state.refused.get("bad_config") == 1, "a refused config")

        assert bench.state.governor.of == 1


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"damaged"), lambda path: path.unlink()])
async def test_a_resident_model_that_does_not_load_is_said_and_the_rate_still_falls(tmp_path, weather, damage):
    small = tiny_model("small")
    with serving() as server:
        async with governed(tmp_path, weather) as bench:
            await bench.do(deploy(server, small, "d1", gen=1, model="small"))
            await bench.do(deploy(server, tiny_model("big", seed=3), "d2", gen=2, model="big"))
            await bench.do(config(rungs=[{"soc_below_pct": 30, "model": "small", "rate": 0.5}]))
            damage(tmp_path / "models" / "sha256" / hashlib.sha256(small).hexdigest() / "model.onnx")
            weather.power = PowerState(soc_pct=29.0)
            await bench.until(lambda: bench.state.governor.fault or "", "a fault")

            said = bench.state.governor
            assert "small does not run" in said.fault
            assert (said.rung, said.runs, said.rate) == (1, "big", 0.5)


async def test_without_a_model_or_with_an_undeployed_one_nothing_is_served(tmp_path, weather):
    weather.power = PowerState(soc_pct=5.0)
    with serving() as server:
        async with governed(tmp_path, weather) as bench:
            await bench.do(deploy(server, model="only"))
            await bench.do(config(rungs=[{"soc_below_pct": 30, "model": "only"}]))
            await stands(bench, 1, runs="only")
            await bench.do({"id": "u", "op": "undeploy"})
            await bench.do({"id": "p", "op": "ping"})

            assert bench.state.active is None
            assert bench.state.governor.runs is None


async def test_a_damaged_file_of_the_governor_is_set_aside_and_a_rung_that_is_none_is_left(tmp_path, weather):
    file = tmp_path / "governor.json"
    file.write_text("{")
    async with governed(tmp_path, weather) as bench:
        assert bench.state.governor is None
        await bench.do(config(rungs=[COLD]))
    assert file.with_suffix(".damaged").exists()

    file.write_text(json.dumps(json.loads(file.read_text()) | {"rung": 7}))
    async with governed(tmp_path, weather) as bench:
        assert bench.state.governor.rung == 0
