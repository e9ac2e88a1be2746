"""Alerts over a fleet: what is found, when, of whom, and what people do with it; news, silence and restarts."""

import dataclasses
import json

import pytest

from broker.errors import ConflictError, NotFoundError, StorageError
from broker.messages import Status
from broker.topics import STATUS
from controller.alerts import evaluating
from controller.alerts.builtin import BUILT_IN
from controller.alerts.preview import preview
from controller.alerts.rule import Rule
from controller.alerts.state import KEPT_S
from controller.rollouts.request import Request, Selection
from controller.service import Wish
from controller.telemetry.rollups import Rollups
from tests.alerting import AlertFleet
from tests.controlling import controller
from tests.rolling_fleet import MODEL


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    whole = AlertFleet(tmp_path_factory.mktemp("alerting"))
    yield whole
    whole.store.close()


@pytest.fixture
def fleet(running):
    """Two devices that have just joined; nothing is known of before."""
    running.forget_everything()
    running.join("pi5-1", "pi5-2", tags={"line": "A"})
    return running


def test_a_device_that_stays_hot_is_an_alert_with_value_threshold_and_age(fleet):
    fleet.hot("pi5-1", 55)
    assert fleet.listed() == {}
    assert set(fleet.listed("pending")) == {"too-hot@pi5-1"}

    fleet.hot("pi5-1", 15)
    (found,) = fleet.listed().values()
    assert (found["id"], found["severity"], found["state"]) == ("too-hot@pi5-1", "warning", "firing")
    assert (found["value"], found["threshold"], found["unit"], found["comparison"]) == (85.0, 80.0, "°C", ">=")
    assert found["sentence"] == "temperature_c ≥ 80 °C for 60 s; now 85 °C"
    assert found["reading_age_s"] <= 15
    assert found["runbook"]
    assert found["advice"]


def test_it_is_over_when_a_reading_says_so_and_each_step_is_in_the_log(fleet):
    fleet.hot("pi5-1")
    fleet.hot("pi5-1", 10, temperature_c=60.0)

    assert fleet.listed() == {}
    assert set(fleet.listed("resolved")) == {"too-hot@pi5-1"}
    assert [text.split(":")[0] for text in fleet.told()] == [
        "warning alert too-hot@pi5-1 began",
        "warning alert too-hot@pi5-1 is over",
    ]
    fleet.tick(KEPT_S)
    fleet.hot("pi5-1", 10, temperature_c=60.0)
    assert fleet.listed("all", rule="too-hot") == {}


def test_news_that_stop_do_not_end_it(fleet):
    fleet.hot("pi5-1")
    fleet.tick(5.0, times=70)

    found = fleet.listed()["too-hot@pi5-1"]
    assert (found["state"], found["open"]) == ("no_data", True)
    assert "no data since: its readings stopped" in found["sentence"]
    assert "silent-device@pi5-1" in fleet.listed()


def test_what_was_spooled_on_a_device_never_raises_an_alert(fleet):
    for minutes in range(20, 0, -1):
        fleet.telemetry("pi5-1", ts=fleet.at - 60 * minutes, spooled=True, temperature_c=95.0)
        fleet.tick(1.0)

    assert fleet.listed("all") == {}


def test_a_rule_that_a_device_never_told_anything_of_says_nothing_of_it(fleet):
    fleet.telemetry("pi5-1", temperature_c=50.0)
    fleet.tick(5.0, times=80)

    assert set(fleet.listed("no_data")) == {"too-hot@pi5-1", "clock-off@pi5-1"}
    counts = next(rule["counts"] for rule in fleet.alerts.rules() if rule["name"] == "too-hot")
    assert counts == {"pending": 0, "firing": 0, "no_data": 1, "resolved": 0}


def test_a_device_that_is_gone_is_critical_and_one_that_sleeps_is_not(fleet):
    fleet.leave("pi5-1")
    fleet.leave("pi5-2", reason="sleep", ts=fleet.at, wake_at=fleet.at + 3_600)
    fleet.tick(5.0, times=80)

    assert [(each["id"], each["severity"]) for each in fleet.listed().values()] == [("offline@pi5-1", "critical")]
    fleet.tick(5.0, times=720)
    assert set(fleet.listed()) == {"offline@pi5-1", "offline@pi5-2"}
    fleet.come_back("pi5-1")
    fleet.telemetry("pi5-1", temperature_c=50.0)
    fleet.tick(1.0)
    assert set(fleet.listed()) == {"offline@pi5-2"}


def test_a_battery_energy_over_budget_and_a_clock_that_is_off(fleet):
    fleet.budget("pi5-1", 10.0)
    for _ in range(40):
        fleet.telemetry("pi5-1", soc_pct=15.0, energy_mj=12.0, temperature_c=40.0, ts=fleet.at - 300)
        fleet.tick(5.0)

    found = fleet.listed()
    assert set(found) == {"battery-low@pi5-1", "over-budget@pi5-1", "clock-off@pi5-1"}
    assert (found["over-budget@pi5-1"]["value"], found["over-budget@pi5-1"]["kind"]) == (120.0, "measured")
    assert found["clock-off@pi5-1"]["value"] == pytest.approx(300, abs=6)


def test_simulated_energies_do_not_end_what_measured_ones_began(fleet):
    fleet.alerts.put_rule(Rule(name="dear", quantity="energy_mj", comparison=">", threshold=50.0), "cli", fleet.at)
    fleet.telemetry("pi5-1", energy_mj=60.0)
    fleet.tick()
    fleet.telemetry("pi5-1", energy_mj=5.0, source="simulated")
    fleet.tick()
    assert fleet.listed()["dear@pi5-1"]["value"] == 60.0

    fleet.telemetry("pi5-1", energy_mj=5.0)
    fleet.tick()
    assert "dear@pi5-1" not in fleet.listed()


def test_a_rule_over_one_kind_of_energy_does_not_look_at_others(fleet):
    fleet.alerts.put_rule(
        Rule(name="dear", quantity="energy_mj", comparison=">", threshold=50.0, kinds=("measured",)), "cli", fleet.at
    )
    fleet.telemetry("pi5-1", energy_mj=60.0, source="simulated")
    fleet.tick()

    assert fleet.listed("all", rule="dear") == {}


def test_a_deployment_that_failed_names_itself_and_ends_with_a_newer_one(fleet):
    rollout = fleet.rolling.make(
        Request(model=MODEL, selection=Selection(device_ids=("pi5-1",)), waves=("100%",)), "cli", fleet.at
    )
    fleet.tick()
    fleet.fail("pi5-1")
    fleet.tick(10.0)
    found = fleet.listed()["deployment-failed@pi5-1"]
    assert found["deployment_id"].startswith("deploy_")
    assert found["rollout_id"] == rollout.id

    fleet.service.deploy(fleet_wish("pi5-1"), fleet.at)
    fleet.tick(10.0)
    assert "deployment-failed@pi5-1" not in fleet.listed()


def fleet_wish(device_id):
    return Wish(device_id=device_id, model=MODEL, origin="cli")


def test_a_rollout_that_waits_for_somebody(fleet):
    request = Request(model=MODEL, selection=Selection(device_ids=("pi5-1",)), waves=("100%",))
    rollout = fleet.rolling.make(request, "cli", fleet.at)
    fleet.tick()
    fleet.rolling.pause(rollout.id, "look first", "cli", fleet.at)
    fleet.tick(601.0)

    found = fleet.listed()[f"rollout-paused@{rollout.id}"]
    assert (found["scope"], found["rollout_id"], found["device_id"]) == ("rollout", rollout.id, None)
    fleet.rolling.abort(rollout.id, "", "cli", fleet.at)
    fleet.tick()
    assert f"rollout-paused@{rollout.id}" not in fleet.listed()


def test_a_broker_that_is_gone_stays_gone_over_a_restart(fleet):
    fleet.bus.connected = False
    fleet.tick()
    fleet.tick(31.0)
    assert "broker-lost@controller" in fleet.listed()

    fleet.reopen()
    fleet.bus.connected = False
    fleet.tick()
    assert fleet.listed()["broker-lost@controller"]["value"] >= 31.0
    fleet.bus.connected = True
    fleet.tick()
    assert fleet.listed() == {}


def test_devices_are_not_blamed_for_a_broker_or_a_controller_that_was_gone(fleet):
    fleet.telemetry("pi5-1", temperature_c=50.0)
    fleet.telemetry("pi5-2", temperature_c=50.0)
    fleet.bus.connected = False
    fleet.tick(5.0, times=100)
    assert set(fleet.listed()) == {"broker-lost@controller"}

    fleet.reopen()
    fleet.tick(5.0, times=2)
    assert set(fleet.listed()) == set()
    fleet.telemetry("pi5-1", temperature_c=50.0)
    fleet.tick(5.0, times=12)
    assert set(fleet.listed()) == {"silent-device@pi5-2"}
    fleet.reopen()
    fleet.tick(5.0, times=2)
    assert set(fleet.listed()) == {"silent-device@pi5-2"}


def test_a_device_that_speaks_every_ten_minutes_is_not_silent_in_between(fleet):
    fleet.say("pi5-1", STATUS, Status(online=True, session="slow", ts=fleet.at, interval_s=600.0))
    fleet.telemetry("pi5-1", temperature_c=50.0)
    fleet.tick(5.0, times=100)

    assert "silent-device@pi5-1" not in fleet.listed()
    assert fleet.listed("no_data", device_id="pi5-1") == {}


def test_refused_messages_that_rise_are_told_once_a_window_is_known(fleet):
    for count in range(130):
        with fleet.store.transaction():
            fleet.store.count({"malformed": 1 if count > 90 else 0})
        fleet.tick(10.0)

    found = fleet.listed()["messages-refused@controller"]
    assert 20 <= found["value"] <= 61


def test_a_restart_changes_nothing(fleet):
    fleet.hot("pi5-1")
    fleet.hot("pi5-2", 20)
    before = fleet.listed("all")
    fleet.reopen()
    fleet.tick(0.1)

    after = fleet.listed("all")
    assert {name: each["state"] for name, each in after.items()} == {
        name: each["state"] for name, each in before.items()
    }
    assert len(fleet.told()) == 1
    fleet.hot("pi5-2", 45)
    assert set(fleet.listed()) == {"too-hot@pi5-1", "too-hot@pi5-2"}


def test_an_acknowledged_one_leaves_the_list_and_stays_open(fleet):
    fleet.hot("pi5-1")
    fleet.alerts.acknowledge("too-hot@pi5-1", "a fan is ordered", "dashboard", fleet.at)

    assert fleet.listed() == {}
    found = fleet.listed("acknowledged")["too-hot@pi5-1"]
    assert (found["acknowledged"]["who"], found["acknowledged"]["note"]) == ("dashboard", "a fan is ordered")
    event = fleet.store.events(kind="alert", limit=1)[0]
    assert (event["who"], event["facts"]["reason"]) == ("dashboard", "a fan is ordered")
    fleet.hot("pi5-1", 10)
    assert fleet.listed("acknowledged")["too-hot@pi5-1"]["acknowledged"] is not None


def test_what_is_not_open_cannot_be_acknowledged(fleet):
    fleet.hot("pi5-1", 20)

    with pytest.raises(ConflictError, match="is pending"):
        fleet.alerts.acknowledge("too-hot@pi5-1", "", "cli", fleet.at)
    with pytest.raises(NotFoundError, match="no alert 'too-hot@nobody'"):
        fleet.alerts.acknowledge("too-hot@nobody", "", "cli", fleet.at)


def test_a_silence_loses_nothing_and_ends_by_itself(fleet):
    silence = fleet.alerts.silence(
        device_id="pi5-1", rule=None, for_s=600.0, why="its roof is mended", who="cli", at=fleet.at
    )
    fleet.hot("pi5-1")
    assert fleet.listed() == {}
    found = fleet.listed("silenced")["too-hot@pi5-1"]
    assert (found["state"], found["silenced"]["id"], found["silenced"]["why"]) == (
        "firing",
        silence.id,
        "its roof is mended",
    )

    fleet.hot("pi5-1", 600)
    assert set(fleet.listed(device_id="pi5-1")) == {"too-hot@pi5-1"}
    assert "the silence of every alert of pi5-1 is over" in fleet.told()
    assert fleet.alerts.silences(fleet.at) == []


def test_a_silence_of_one_rule_on_one_device_covers_no_other(fleet):
    fleet.alerts.silence(device_id="pi5-1", rule="too-hot", for_s=600.0, why="", who="cli", at=fleet.at)
    fleet.hot("pi5-1")
    fleet.hot("pi5-2")

    assert set(fleet.listed()) == {"too-hot@pi5-2"}
    silence = fleet.alerts.silences(fleet.at)[0]
    fleet.alerts.unsilence(silence.id, "cli", fleet.at)
    assert set(fleet.listed()) == {"too-hot@pi5-1", "too-hot@pi5-2"}


def test_our_rules_can_be_changed_switched_off_and_had_back(fleet):
    fleet.hot("pi5-1")
    off = dataclasses.replace(BUILT_IN["too-hot"], enabled=False)
    fleet.alerts.put_rule(off, "cli", fleet.at)
    assert fleet.listed("all") == {}
    assert fleet.told()[-2:] == [
        "alert too-hot@pi5-1 ended: no rule that is switched on means it any more",
        "the rule too-hot was changed: warning when temperature_c ≥ 80 °C for 60 s, and is switched off",
    ]

    fleet.reopen()
    fleet.hot("pi5-1")
    assert fleet.listed("all") == {}
    fleet.alerts.remove_rule("too-hot", "cli", fleet.at)
    fleet.hot("pi5-1")
    assert set(fleet.listed()) == {"too-hot@pi5-1"}
    with pytest.raises(ConflictError, match="a rule of EdgeWatt"):
        fleet.alerts.remove_rule("too-hot", "cli", fleet.at)


def test_a_stored_rule_that_another_version_wrote_is_left_alone(fleet):
    for name, quantity in (("newer", "warp_factor"), ("odd", "temperature_c")):
        document = {"name": name, "quantity": quantity, "comparison": "~", "threshold": 1.0}
        sql = "INSERT INTO alert_rules (name, document, at, who) VALUES (?, ?, ?, ?)"
        fleet.store.connection.execute(sql, [name, json.dumps(document), fleet.at, "cli"])
    fleet.alerts.book.forget()
    fleet.hot("pi5-1")

    assert set(fleet.listed()) == {"too-hot@pi5-1"}
    assert {"newer", "odd"}.isdisjoint(fleet.alerts.book.all)


def test_a_device_that_no_longer_is_meant_lets_go_of_its_alert(fleet):
    rule = Rule(name="line-hot", quantity="temperature_c", comparison=">", threshold=50.0, tags=("line=A",))
    fleet.alerts.put_rule(rule, "cli", fleet.at)
    fleet.telemetry("pi5-1", temperature_c=60.0)
    fleet.tick()
    assert set(fleet.listed()) == {"line-hot@pi5-1"}

    fleet.join("pi5-1", tags={"line": "B"})
    fleet.tick()
    assert fleet.listed("all", rule="line-hot") == {}


def test_a_forgotten_device_takes_its_alerts_with_it(fleet):
    fleet.hot("pi5-1")
    fleet.service.forget("pi5-1", "cli", fleet.at)

    assert fleet.listed("all") == {}
    fleet.tick(60.0)


def test_one_that_flaps_is_one_entry_with_its_times(fleet):
    for _ in range(4):
        fleet.hot("pi5-1")
        fleet.hot("pi5-1", 10, temperature_c=60.0)

    (found,) = fleet.listed("resolved").values()
    assert (found["flapping"], found["fired"], len(found["fired_at"])) == (True, 4, 4)


def test_a_database_that_cannot_be_written_is_an_alert_all_the_same(fleet):
    real, fleet.store.connection = fleet.store.connection, FullDisk(fleet.store.connection)
    with pytest.raises(StorageError):
        fleet.alerts.tick(fleet.at, None)
    fleet.store.connection = real
    assert set(fleet.listed()) == {"database-not-written@controller"}
    assert fleet.alerts.counts(fleet.at)["critical"] == 1

    fleet.tick()
    assert set(fleet.listed()) == {"database-not-written@controller"}
    fleet.tick()
    assert fleet.listed() == {}
    assert [text.split(" ")[2:4] for text in fleet.told()] == [
        ["database-not-written@controller", "began:"],
        ["database-not-written@controller", "is"],
    ]


async def test_a_sample_on_the_bus_is_an_alert_in_the_next_second(tmp_path):
    async with controller(tmp_path) as running, running.joined() as device:
        rule = {"quantity": "temperature_c", "comparison": ">", "threshold": 70.0}
        await running.http.put("/api/alerts/rules/warm", json=rule)
        await device.sample(1, temperature_c=71.0)

        async def told():
            return [each["id"] for each in (await running.get("/api/alerts"))["alerts"]] == ["warm@pi5-1"]

        await running.until(told)


@pytest.mark.usefixtures("each_store")
async def test_the_whole_story_on_each_store(tmp_path):
    fleet = AlertFleet(tmp_path, alert_webhook_url="http://127.0.0.1:9/hook")
    fleet.join("pi5-1", "pi5-2", tags={"line": "A"})
    fleet.hot("pi5-1", throttled=True)
    fleet.hot("pi5-2", 20, soc_pct=5.0)
    fleet.alerts.acknowledge("too-hot@pi5-1", "fan", "cli", fleet.at)
    silence = fleet.alerts.silence(device_id="pi5-2", rule="battery-empty", for_s=60.0, why="", who="cli", at=fleet.at)
    assert set(fleet.listed("acknowledged")) == {"too-hot@pi5-1"}
    assert set(fleet.listed("silenced")) == {"battery-empty@pi5-2"}
    assert set(fleet.listed("pending")) == {"too-hot@pi5-2", "battery-low@pi5-2"}
    assert fleet.alerts.counts(fleet.at)["acknowledged"] == 1
    fleet.alerts.unsilence(silence.id, "cli", fleet.at)
    assert (fleet.alerts.counts(fleet.at)["critical"], fleet.alerts.notices.waiting()) == (1, 2)

    warm = Rule(name="warm", quantity="temperature_c", comparison=">", threshold=70.0, severity="critical")
    fleet.alerts.put_rule(warm, "cli", fleet.at)
    found = await preview(fleet.store, warm, days=1.0, at=fleet.at)
    assert (found["fired"], found["devices_with_data"]) == (2, 2)
    with fleet.store.transaction():
        while Rollups(store=fleet.store).tick(fleet.at + 3_600.0):
            pass
    assert (await preview(fleet.store, warm, days=1.0, at=fleet.at))["fired"] == 2
    throttled = Rule(name="t", quantity="throttled", comparison=">=", threshold=1.0)
    assert (await preview(fleet.store, throttled, days=1.0, at=fleet.at))["fired"] == 1
    fleet.reopen()
    fleet.tick(5.0, times=70)
    assert {each["state"] for each in fleet.listed(rule="warm").values()} == {"no_data"}
    fleet.telemetry("pi5-1", temperature_c=85.0)
    fleet.tick(5.0)
    assert [each["id"] for each in fleet.alerts.page(fleet.at, "open", 1, 0, severity="critical")[1]] == ["warm@pi5-1"]
    fleet.alerts.remove_rule("warm", "cli", fleet.at)
    fleet.service.forget("pi5-2", "cli", fleet.at)
    assert {each["device_id"] for each in fleet.listed("all").values()} == {"pi5-1"}
    notices = fleet.alerts.notices
    with fleet.store.transaction():
        notices.put_off(notices.due(fleet.at), fleet.at + 5.0, fleet.at)
    assert notices.due(fleet.at) is None
    fleet.store.close()


class FullDisk:
    """A connection whose disk is full: nothing is committed."""

    def __init__(self, connection):
        self.connection = connection

    def __getattr__(self, name):
        return getattr(self.connection, name)

    def execute(self, sql, *arguments):
        if sql == "COMMIT":
            raise self.connection.errors("database or disk is full")
        return self.connection.execute(sql, *arguments)


def test_a_large_fleet_is_looked_at_in_slices_within_a_budget(fleet):
    fleet.join(*(f"d{index:03d}" for index in range(120)))
    clock = iter(range(1_000_000))
    fleet.alerts.evaluating.elapsed = lambda: next(clock) * evaluating.BUDGET_S
    before = fleet.alerts.evaluating.evaluated
    fleet.tick(10.0)
    assert fleet.alerts.evaluating.evaluated - before == evaluating.SLICE
    assert fleet.alerts.evaluating.behind > 0

    fleet.tick(1.0, times=10)
    assert fleet.alerts.evaluating.behind == 0
    assert fleet.alerts.evaluating.evaluated - before >= 122


def test_all_that_is_known_is_looked_at_also_while_every_device_has_news(fleet):
    names = [f"d{index:03d}" for index in range(60)]
    fleet.join(*names)
    fleet.tick(10.0, times=3)
    with fleet.store.transaction():
        fleet.store.put_device("d059", info={"disk_free_mb": 1.0})
    for _ in range(4):
        for name in names:
            fleet.telemetry(name, temperature_c=85.0)
        fleet.tick(5.0)

    assert set(fleet.listed()) == {"device-disk-nearly-full@d059"}
    assert len(fleet.listed("pending")) == len(names)
