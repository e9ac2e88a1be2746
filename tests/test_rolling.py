"""Rollouts carried out: through the same gate and outbox as single deployments, and on after a crash anywhere."""

from datetime import datetime, timedelta

import pytest

from broker.commands import Fault
from broker.errors import ConflictError, NotFoundError, RefusedError
from controller.rollouts.guards import Guards
from controller.rollouts.request import Request, Selection, Terms
from controller.rollouts.rolling import dealt
from controller.rollouts.state import RolloutPhase, Rules
from tests.rolling_fleet import MODEL, NOON, RollingFleet

P = RolloutPhase

pytestmark = pytest.mark.usefixtures("each_store")


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made once")
    RollingFleet(folder).store.close()
    return folder / "artifacts"


@pytest.fixture
def fleet(tmp_path, artifacts):
    running = RollingFleet(tmp_path, artifacts)
    yield running
    running.store.close()


def asked(*device_ids, waves=("1", "50%", "100%"), **more):
    """Return a request for the devices, rules and terms taken apart."""
    rules = Rules(**{name: more.pop(name) for name in tuple(more) if name in Rules.__dataclass_fields__})
    terms = Terms(**{name: more.pop(name) for name in tuple(more) if name in Terms.__dataclass_fields__})
    selection = more.pop("selection", Selection(device_ids=device_ids))
    return Request(model=more.pop("model", MODEL), selection=selection, waves=waves, rules=rules, terms=terms, **more)


def begun(fleet, request):
    rollout = fleet.rolling.make(request, "cli", fleet.at)
    fleet.tick()
    return rollout.id


def test_each_wave_gets_the_model_through_the_gate_and_the_outbox_of_every_deployment(fleet):
    names = fleet.joined(6)
    rollout_id = begun(fleet, asked(*names, budget_mj=100_000.0))
    assert fleet.under_way() == ["d00"]
    deployment = fleet.open_deployment("d00")
    assert (deployment.rollout_id, deployment.origin, deployment.budget_mj) == (rollout_id, "cli", 100_000.0)
    assert [device for device, _ in fleet.orders("deploy")] == ["d00"]

    fleet.succeed("d00")
    fleet.tick()
    assert fleet.under_way() == ["d01", "d02"]
    fleet.succeed("d01", "d02")
    fleet.tick()
    fleet.succeed("d03", "d04", "d05")
    fleet.tick()

    rollout = fleet.rollout(rollout_id)
    assert (rollout.phase, rollout.reason) == (P.SUCCEEDED, "6 of 6 done")
    assert set(fleet.standings(rollout_id).values()) == {"done"}


def test_a_bad_canary_stops_it_with_the_stage_and_the_reason(fleet):
    names = fleet.joined(4)
    rollout_id = begun(fleet, asked(*names, on_breach="abort"))
    fleet.fail("d00", step="loading")
    fleet.tick()

    part = fleet.rolling.participants.get(rollout_id, "d00")
    assert fleet.rollout(rollout_id).phase is P.ABORTED
    assert (part["standing"], part["stage"], part["reason"]) == ("failed", "loading", "it broke")
    assert fleet.standings(rollout_id)["d03"] == "withdrawn"
    assert fleet.under_way() == []


def test_who_is_away_gives_its_turn_and_gets_the_deployment_queued_when_its_new_one_comes(fleet):
    names = fleet.joined(3)
    fleet.leave("d00")
    request = asked(*names, waves=("1", "100%"))
    fleet.come_back("d00")
    rollout = fleet.rolling.make(request, "cli", fleet.at)  # planned while it was there
    fleet.leave("d00")
    fleet.tick()
    assert fleet.under_way() == ["d01"]

    fleet.succeed("d01")
    fleet.tick()
    assert fleet.standings(rollout.id) == {"d00": "away", "d01": "done", "d02": "fetching"}
    assert fleet.open_deployment("d00").phase.value == "queued"
    fleet.succeed("d02")
    fleet.tick()

    ended = fleet.rollout(rollout.id)
    assert (ended.phase, ended.reason) == (P.SUCCEEDED, "2 of 3 done, 1 away")
    assert fleet.open_deployment("d00") is not None  # it gets it when it is back


def test_who_comes_back_in_time_is_counted(fleet):
    names = fleet.joined(3)
    rollout_id = begun(fleet, asked(*names, waves=("100%",)))
    fleet.leave("d02")
    fleet.tick(seconds=10)
    assert fleet.standings(rollout_id)["d02"] == "away"
    fleet.succeed("d00")
    fleet.come_back("d02")
    fleet.tick()
    assert fleet.standings(rollout_id)["d02"] == "fetching"
    fleet.succeed("d01", "d02")
    fleet.tick()

    assert fleet.rollout(rollout_id).reason == "3 of 3 done"


def test_where_nobody_can_be_reached_it_waits_for_the_first_and_ends_at_its_deadline(fleet):
    names = fleet.joined(3, online=False)
    rollout_id = begun(fleet, asked(*names, waves=("1", "100%"), deadline_s=3_600.0))
    fleet.tick(times=3)
    assert fleet.under_way() == ["d00"]
    assert fleet.rollout(rollout_id).phase is P.RUNNING

    fleet.tick(seconds=3_600)
    assert fleet.rollout(rollout_id).phase is P.FAILED
    assert fleet.rollout(rollout_id).reason.startswith("the deadline is over: 0 of 3 done, 1 away")
    assert fleet.under_way() == []


def test_a_device_that_waits_for_a_condition_of_its_own_is_not_waited_for(fleet):
    names = fleet.joined(2)
    rollout_id = begun(fleet, asked(*names, waves=("100%",)))
    fleet.ack("d00", "accepted")
    fleet.ack("d00", "waiting", reason="soc")
    fleet.succeed("d01")
    fleet.tick()

    assert fleet.rollout(rollout_id).reason == "1 of 2 done, 1 away"


def test_only_so_many_fetch_at_once_and_a_place_is_free_once_the_file_is_there(fleet):
    names = fleet.joined(5)
    rollout_id = begun(fleet, asked(*names, waves=("100%",), at_once=2))
    assert fleet.under_way() == ["d00", "d01"]
    fleet.ack("d00", "probing")
    fleet.tick()

    assert fleet.under_way() == ["d00", "d01", "d02"]
    assert fleet.standings(rollout_id)["d00"] == "proving"


def test_two_rollouts_share_the_downloads(tmp_path, artifacts):
    fleet = RollingFleet(tmp_path, artifacts, max_downloads=4)
    names = fleet.joined(12)
    first = fleet.rolling.make(asked(*names[:6], waves=("100%",)), "cli", fleet.at)
    second = fleet.rolling.make(asked(*names[6:], waves=("100%",)), "rest", fleet.at + 1)
    fleet.tick()

    assert fleet.under_way() == ["d00", "d01", "d06", "d07"]
    assert {fleet.open_deployment(name).rollout_id for name in ("d00", "d06")} == {first.id, second.id}
    fleet.store.close()


def test_places_are_dealt_in_turn():
    assert dealt(5, {"a": 9, "b": 1, "c": 9}, turn=0) == {"a": 2, "b": 1, "c": 2}
    assert dealt(1, {"a": 1, "b": 1}, turn=1) == {"a": 0, "b": 1}
    assert dealt(-3, {"a": 1}, turn=0) == {"a": 0}
    assert dealt(3, {}, turn=7) == {}


def test_starts_are_paced_by_the_size_of_the_file(fleet):
    names = fleet.joined(4)
    size = fleet.service.artifacts.find(MODEL, ("onnx",)).size
    begun(fleet, asked(*names, waves=("100%",), bytes_per_s=size / 10))
    assert fleet.under_way() == ["d00"]
    fleet.tick(seconds=8)
    assert fleet.under_way() == ["d00"]
    fleet.tick(seconds=3)

    assert fleet.under_way() == ["d00", "d01"]


def test_what_has_the_file_already_is_not_sent_it(fleet):
    names = fleet.joined(3)
    rollout_id = begun(fleet, asked("d00", waves=("100%",)))
    fleet.succeed("d00")
    fleet.tick()
    second = begun(fleet, asked(*names, waves=("100%",)))
    assert fleet.standings(second)["d00"] == "already"
    again = fleet.rolling.make(asked("d00"), "cli", fleet.at)

    assert (again.phase, again.reason) == (P.SUCCEEDED, "1 of 1 already had it")
    assert rollout_id != second


def test_devices_that_the_gate_refuses_stop_it_unless_only_those_that_fit_are_wanted(fleet):
    fleet.joined(2)
    fleet.join("old", formats=("rknn",), runtimes=())
    with pytest.raises(RefusedError) as refused:
        fleet.rolling.make(asked("d00", "d01", "old"), "cli", fleet.at)
    assert refused.value.code == "no_format"
    assert refused.value.facts["plan"]["excluded"][0]["device_id"] == "old"

    rollout_id = begun(fleet, asked("d00", "d01", "old", waves=("100%",), only_fitting=True))
    fleet.succeed("d00", "d01")
    fleet.tick()
    assert fleet.rollout(rollout_id).reason == "2 of 2 done, 1 refused"


def test_over_budget_is_told_by_board_with_what_would_fit(fleet):
    fleet.joined(3)
    with pytest.raises(RefusedError) as refused:
        fleet.rolling.make(asked("d00", "d01", "d02", model="digits_cnn_l", budget_mj=40.0), "cli", fleet.at)

    (board,) = refused.value.facts["plan"]["boards"]
    assert (board["devices"], board["verdict"], board["code"]) == (3, "over", "over_budget")
    assert {each["model"] for each in board["would_fit"]} == {MODEL, "digits_mlp"}


def test_selection_is_by_id_tag_and_type(fleet):
    fleet.join("a1", "a2", tags={"line": "A"})
    fleet.join("b1", tags={"line": "B"})
    fleet.join("n1", tags={"line": "A"}, device_type="jetson_nano_2gb")

    def meant(**selection):
        return [c.device_id for c in fleet.rolling.draft(asked(selection=Selection(**selection))).candidates]

    assert meant(tags=("line=A",)) == ["a1", "a2", "n1"]
    assert meant(tags=("line=A",), device_types=("raspberry_pi_5",)) == ["a1", "a2"]
    assert meant(device_ids=("b1",), tags=("line=A",)) == ["a1", "a2", "b1", "n1"]
    assert meant(device_types=("jetson_nano_2gb",)) == ["n1"]
    with pytest.raises(NotFoundError, match="no device 'b2'"):
        meant(device_ids=("b2",))
    with pytest.raises(NotFoundError, match="no device is meant"):
        meant(tags=("line=C",))


def test_early_waves_try_each_board_and_who_can_be_reached(fleet):
    fleet.join("a1", "a2", "a3")
    fleet.join("n1", "n2", device_type="jetson_nano_2gb")
    fleet.join("a0", online=False)
    draft = fleet.rolling.draft(
        asked(waves=("2", "100%"), selection=Selection(device_ids=("a0", "a1", "a2", "a3", "n1", "n2")))
    )

    assert set(draft.waves[0]) == {"a1", "n1"}
    assert draft.waves[1][-1] == "a0"


def test_new_devices_join_the_waves_still_to_come(fleet):
    fleet.join("a1", "a2", tags={"line": "A"})
    selection = Selection(tags=("line=A",))
    rollout_id = begun(fleet, asked(selection=selection, waves=("1", "100%"), joins=True))
    fleet.join("a3", tags={"line": "A"})
    fleet.join("b1", tags={"line": "B"})
    fleet.tick()
    assert fleet.standings(rollout_id) == {"a1": "fetching", "a2": "waiting", "a3": "waiting"}
    fleet.succeed("a1")
    fleet.tick()

    assert fleet.under_way() == ["a2", "a3"]


def test_measured_energy_over_the_limit_is_a_breach_and_modelled_energy_is_none(fleet):
    names = fleet.joined(3)
    guards = Guards(energy_mj=8.0)
    rollout_id = begun(fleet, asked(*names, guards=guards))
    fleet.succeed("d00", energy_mj=9.0, source="model")
    fleet.tick()
    assert fleet.standings(rollout_id)["d00"] == "done"
    fleet.succeed("d01", energy_mj=9.0, source="pmic")
    fleet.tick()

    part = fleet.rolling.participants.get(rollout_id, "d01")
    assert (part["standing"], part["code"]) == ("breached", "energy")
    assert part["reason"] == "9 mJ per inference (source: pmic) is above 8 mJ"
    assert fleet.rollout(rollout_id).phase is P.PAUSED


def test_simulated_energy_decides_on_simulated_devices_and_stays_marked(fleet):
    fleet.join("sim", simulated=True)
    rollout_id = begun(fleet, asked("sim", guards=Guards(energy_mj=8.0)))
    fleet.succeed("sim", energy_mj=9.0, source="simulated")
    fleet.tick()

    part = fleet.rolling.participants.get(rollout_id, "sim")
    assert (part["standing"], part["after_source"]) == ("breached", "simulated")
    assert "source: simulated" in part["reason"]


@pytest.mark.parametrize(
    ("sample", "code"),
    [
        ({"energy_mj": 20.0}, "energy"),
        ({"p95_ms": 80.0}, "latency"),
        ({"temperature_c": 91.0}, "temperature"),
        ({"throttled": True}, "brown_out"),
    ],
)
def test_what_telemetry_tells_during_the_watch_stops_it(fleet, sample, code):
    names = fleet.joined(3)
    guards = Guards(energy_mj=8.0, latency_ms=50.0, temperature_c=85.0, brown_outs=True)
    rollout_id = begun(fleet, asked(*names, waves=("1", "100%"), guards=guards, soak_s=60.0))
    fleet.succeed("d00")
    fleet.tick()
    for _ in range(4):
        fleet.at += 1
        fleet.sample("d00", **sample)
    fleet.tick()

    part = fleet.rolling.participants.get(rollout_id, "d00")
    assert (part["standing"], part["code"]) == ("breached", code)
    assert fleet.rollout(rollout_id).phase is P.PAUSED


def test_a_wave_that_stays_within_its_limits_lets_the_next_begin_after_the_watch(fleet):
    names = fleet.joined(3)
    rollout_id = begun(fleet, asked(*names, waves=("1", "100%"), guards=Guards(energy_mj=8.0), soak_s=60.0))
    fleet.succeed("d00")
    fleet.tick()
    fleet.at += 1
    fleet.sample("d00", energy_mj=6.0)
    fleet.tick(seconds=58)
    assert fleet.under_way() == []
    fleet.tick(seconds=2)

    assert fleet.under_way() == ["d01", "d02"]
    assert fleet.rolling.participants.get(rollout_id, "d00")["after_mj"] == 6.0


def test_rolling_back_goes_by_the_normal_command_and_is_awaited(fleet):
    names = fleet.joined(4)
    rollout_id = begun(fleet, asked(*names, waves=("2", "100%"), on_breach="roll_back_all", failure_percent=30.0))
    fleet.succeed("d00", "d01")
    fleet.tick()
    fleet.leave("d01")
    fleet.fail("d02")
    fleet.tick(seconds=10)
    assert fleet.standings(rollout_id)["d02"] == "failed"
    fleet.fail("d03")
    fleet.tick()
    assert fleet.rollout(rollout_id).phase is P.ROLLING_BACK
    fleet.tick()
    told = dict(fleet.orders("rollback"))
    assert sorted(told) == ["d00", "d01"]
    assert fleet.standings(rollout_id) == {
        "d00": "rolling_back",
        "d01": "rollback_away",
        "d02": "failed",
        "d03": "failed",
    }
    fleet.answer("d00", told["d00"], "succeeded")
    fleet.tick()

    ended = fleet.rollout(rollout_id)
    assert ended.phase is P.ROLLED_BACK
    assert "1 rolled back, 1 away, to roll back when they return" in ended.reason
    assert dict(fleet.orders("rollback")).keys() == {"d01"}  # it stays queued for when it is back
    assert (fleet.store.device("d00")["desired"] or {}).get("deploy") is None


def test_what_is_under_way_when_it_rolls_back_is_cancelled_and_awaited(fleet):
    names = fleet.joined(3)
    rollout_id = begun(fleet, asked(*names, waves=("100%",)))
    fleet.ack("d01", "downloading")
    fleet.succeed("d00")
    fleet.tick()
    fleet.rolling.abort(rollout_id, "enough", "cli", fleet.at, roll_back=True)
    assert {command.target for _, command in fleet.orders("cancel")} >= {fleet.open_deployment("d01").command_id}
    fleet.succeed("d01")  # it was too late to end it
    fleet.tick(times=2)
    told = dict(fleet.orders("rollback"))
    assert sorted(told) == ["d00", "d01"]
    fleet.answer("d00", told["d00"], "succeeded")
    fleet.answer("d01", told["d01"], "failed", error=Fault(code="no_previous", msg="there is no previous model"))
    fleet.tick()

    assert fleet.rollout(rollout_id).phase is P.FAILED
    assert fleet.rolling.participants.get(rollout_id, "d01")["reason"] == "there is no previous model"


def test_people_pause_resume_and_abort_and_every_word_is_in_the_audit(fleet):
    names = fleet.joined(4)
    rollout_id = begun(fleet, asked(*names))
    fleet.rolling.pause(rollout_id, "lunch", "dashboard", fleet.at)
    fleet.succeed("d00")
    fleet.tick()
    assert fleet.under_way() == []
    with pytest.raises(ConflictError, match="is paused"):
        fleet.rolling.pause(rollout_id, "", "cli", fleet.at)
    fleet.rolling.resume(rollout_id, "cli", fleet.at)
    fleet.tick()
    fleet.rolling.abort(rollout_id, "wrong model", "rest", fleet.at)

    assert fleet.rollout(rollout_id).phase is P.ABORTED
    told = [(event["who"], event["text"]) for event in reversed(fleet.store.events(kind="rollout"))]
    assert told[0] == ("cli", f"rollout of {MODEL} planned for 4 devices in 3 waves")
    assert ("dashboard", f"rollout of {MODEL} paused (lunch)") in told
    assert ("cli", f"rollout of {MODEL} running") in told
    assert told[-1] == ("rest", f"rollout of {MODEL} aborted (wrong model)")
    assert fleet.standings(rollout_id)["d00"] == "done"


def test_failed_devices_try_again_here_while_it_is_open_and_in_a_new_one_afterwards(fleet):
    names = fleet.joined(2)
    rollout_id = begun(fleet, asked(*names, waves=("100%",), fewest_judged=2))
    fleet.succeed("d00")
    fleet.fail("d01")
    fleet.tick()
    assert fleet.rollout(rollout_id).phase is P.PAUSED
    fleet.rolling.retry(rollout_id, "cli", fleet.at)
    fleet.rolling.resume(rollout_id, "cli", fleet.at)
    fleet.tick()
    fleet.fail("d01")
    fleet.tick()
    fleet.rolling.abort(rollout_id, "", "cli", fleet.at)
    again = fleet.rolling.retry(rollout_id, "cli", fleet.at)
    fleet.tick()
    fleet.succeed("d01")
    fleet.tick()

    assert again.id != rollout_id
    assert fleet.rollout(again.id).reason == "1 of 1 done"
    assert fleet.rolling.rollouts.request(again.id).retry_of == rollout_id
    with pytest.raises(ConflictError, match="no device of"):
        fleet.rolling.retry(again.id, "cli", fleet.at)


def test_devices_begin_only_in_the_window_and_not_before(fleet):
    names = fleet.joined(2)
    rollout = fleet.rolling.make(asked(*names, not_before=NOON + 100), "cli", fleet.at)
    fleet.tick(seconds=50)
    assert fleet.rollout(rollout.id).phase is P.PLANNED
    fleet.tick(seconds=51)
    assert fleet.rollout(rollout.id).phase is P.RUNNING

    here = datetime.fromtimestamp(fleet.at).astimezone()
    later = f"{here + timedelta(hours=2):%H:%M}-{here + timedelta(hours=4):%H:%M}"
    fleet.join("n1")
    night = begun(fleet, asked("n1", window=later))
    assert fleet.rollout(night).phase is P.PLANNED
    fleet.tick(seconds=3 * 3_600)
    fleet.tick()
    assert fleet.standings(night)["n1"] == "fetching"


def test_a_crash_at_any_moment_loses_nothing(fleet):
    names = fleet.joined(5)
    rollout_id = begun(fleet, asked(*names, waves=("1", "100%")))
    fleet.reopen()
    fleet.succeed("d00")  # heard, and not yet looked at
    fleet.reopen()
    fleet.tick()
    fleet.reopen()
    assert fleet.under_way() == ["d01", "d02", "d03", "d04"]
    with pytest.raises(ZeroDivisionError), fleet.store.transaction():
        fleet.succeed("d01", "d02")
        fleet.rolling.tick(fleet.at)
        1 / 0  # noqa: B018 - everything since the transaction began is undone
    fleet.parts.ingest.hearing.discard()
    fleet.reopen()
    assert fleet.standings(rollout_id)["d01"] == "fetching"
    fleet.succeed("d01", "d02", "d03", "d04")
    fleet.tick()

    assert fleet.rollout(rollout_id).reason == "5 of 5 done"
    assert len(fleet.service.deployments.find(limit=100)) == 5  # nobody was asked twice


def test_a_device_that_is_forgotten_on_the_way_is_not_waited_for(fleet):
    names = fleet.joined(3)
    rollout_id = begun(fleet, asked(*names, waves=("2", "100%")))
    fleet.service.forget("d01", "cli", fleet.at)
    fleet.service.forget("d02", "cli", fleet.at)
    fleet.succeed("d00")
    fleet.tick(times=3)

    assert fleet.rollout(rollout_id).phase is P.SUCCEEDED
    assert fleet.standings(rollout_id) == {"d00": "done", "d01": "withdrawn", "d02": "withdrawn"}
