"""Alerts over REST: listed worst first, seen, silenced; rules changed and previewed; what makes no sense is refused."""

import pytest

from controller.telemetry.rollups import Rollups
from tests.alerting import AlertFleet

HOT = {"quantity": "temperature_c", "comparison": ">=", "threshold": 70.0}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    whole = AlertFleet(tmp_path_factory.mktemp("rest"))
    yield whole
    whole.store.close()


@pytest.fixture
def fleet(running):
    running.forget_everything()
    running.join("pi5-1", "pi5-2", tags={"line": "A"})
    return running


async def ask(fleet, method, path="", body=None, headers=None, **query):
    async with fleet.http as http:
        return await http.request(method, f"/api/alerts{path}", json=body, params=query or None, headers=headers or {})


async def get(fleet, path="", **query):
    answer = await ask(fleet, "GET", path, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_worst_come_first_in_pages_with_counts(fleet):
    fleet.hot("pi5-1")
    fleet.hot("pi5-2", soc_pct=5.0)

    listed = await get(fleet)
    assert [each["id"] for each in listed["alerts"]][:1] == ["battery-empty@pi5-2"]
    assert (listed["total"], listed["counts"]["open"], listed["counts"]["critical"]) == (4, 4, 1)
    page = await get(fleet, limit=1, offset=1)
    assert (len(page["alerts"]), page["total"]) == (1, 4)
    assert [each["id"] for each in (await get(fleet, device_id="pi5-1"))["alerts"]] == ["too-hot@pi5-1"]
    assert (await get(fleet, severity="critical"))["total"] == 1
    assert (await get(fleet, rule="too-hot"))["total"] == 2
    assert (await get(fleet, state="firing", rule="battery-low"))["total"] == 1


async def test_seen_and_silenced_with_who_and_why_once_for_a_key(fleet):
    fleet.hot("pi5-1")
    headers = {"X-EdgeWatt-Origin": "dashboard", "Idempotency-Key": f"k-{fleet.at}"}
    first = await ask(fleet, "POST", "/too-hot@pi5-1/ack", {"note": "fan"}, headers)
    again = await ask(fleet, "POST", "/too-hot@pi5-1/ack", {"note": "fan"}, headers)
    assert first.json()["alert"]["acknowledged"] == {"who": "dashboard", "at": fleet.at, "note": "fan"}
    assert again.headers["idempotency-replayed"] == "true"
    assert len(fleet.store.events(kind="alert")) == 2

    made = (await ask(fleet, "POST", "/too-hot@pi5-1/silence", {"for_s": 60.0, "why": "test"})).json()
    assert (made["silence"]["device_id"], made["silence"]["rule"]) == ("pi5-1", "too-hot")
    assert made["alert"]["silenced"]["why"] == "test"
    whole = (await ask(fleet, "POST", "/too-hot@pi5-1/silence", {"for_s": 60.0, "reach": "device"})).json()
    assert (whole["silence"]["device_id"], whole["silence"]["rule"]) == ("pi5-1", None)
    assert len((await get(fleet, "/silences"))["silences"]) == 2
    ended = await ask(fleet, "DELETE", f"/silences/{made['silence']['id']}")
    assert ended.status_code == 200
    assert len((await get(fleet, "/silences"))["silences"]) == 1
    assert (await ask(fleet, "DELETE", "/silences/nothing")).status_code == 404


async def test_a_silence_before_anything_fires(fleet):
    answer = await ask(fleet, "POST", "/silences", {"device_id": "pi5-1", "for_s": 3_600.0, "why": "roof"})
    assert answer.status_code == 200
    fleet.hot("pi5-1")

    assert (await get(fleet, view="silenced"))["total"] == 1
    assert (await get(fleet))["total"] == 0


async def test_rules_are_listed_made_changed_and_removed(fleet):
    listed = await get(fleet, "/rules")
    assert {"too-hot", "offline", "rollback-failed"} <= {rule["name"] for rule in listed["rules"]}
    assert "temperature_c" in {each["name"] for each in listed["quantities"]}

    made = (await ask(fleet, "PUT", "/rules/warm", HOT | {"tags": ["line=A"]})).json()["rule"]
    assert (made["built_in"], made["changed"], made["unit"], made["tags"]) == (False, True, "°C", ["line=A"])
    changed = (await ask(fleet, "PUT", "/rules/too-hot", HOT | {"threshold": 60.0})).json()["rule"]
    assert (changed["built_in"], changed["changed"], changed["threshold"]) == (True, True, 60.0)
    ours = (await ask(fleet, "DELETE", "/rules/too-hot")).json()["rule"]
    assert (ours["changed"], ours["threshold"]) == (False, 80.0)
    gone = (await ask(fleet, "DELETE", "/rules/warm")).json()
    assert (gone["removed"]["name"], gone["rule"]) == ("warm", None)
    refused = await ask(fleet, "DELETE", "/rules/too-hot")
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    missing = await ask(fleet, "GET", "/rules/too-hat")
    assert (missing.status_code, missing.json()["hint"]) == (404, "did you mean too-hot?")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"quantity": "temprature"}, "quantity"),
        ({"comparison": "!="}, "comparison"),
        ({"threshold": "hot"}, "threshold"),
        ({"severity": "fatal"}, "severity"),
        ({"for_s": -1.0}, "for_s"),
        ({"clear": 90.0}, "clear"),
        ({"tags": ["line"]}, "tags"),
        ({"kinds": ["measured"]}, "kinds"),
        ({"runbook": "javascript:alert(1)"}, "runbook"),
        ({"says": "x" * 500}, "says"),
        ({"no_data_after_s": 0.0}, "no_data_after_s"),
        ({"quantity": "database_mb", "device_ids": ["pi5-1"]}, "device_ids"),
        ({"thershold": 1.0}, "thershold"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused_by_its_field(fleet, change, field):
    answer = await ask(fleet, "PUT", "/rules/warm", HOT | change)

    assert answer.status_code == 422
    assert answer.json()["field"].split(".")[0] == field
    assert answer.json()["hint"]
    preview = await ask(fleet, "POST", "/rules/preview", HOT | change)
    assert (preview.status_code, preview.json()["field"].split(".")[0]) == (422, field)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "?view=worst", None, 422),
        ("GET", "?state=bad", None, 422),
        ("GET", "?severity=bad", None, 422),
        ("POST", "/nothing/ack", {}, 404),
        ("POST", "/too-hot@nobody/silence", {"for_s": 60.0}, 404),
        ("POST", "/silences", {"for_s": 60.0}, 422),
        ("POST", "/silences", {"for_s": 0.0, "device_id": "pi5-1"}, 422),
        ("POST", "/silences", {"for_s": 1e9, "device_id": "pi5-1"}, 422),
        ("POST", "/silences", {"for_s": 60.0, "device_id": "pi5-3"}, 404),
        ("POST", "/silences", {"for_s": 60.0, "rule": "too-cold"}, 404),
        ("PUT", "/rules/Too Hot", HOT, 422),
        ("DELETE", "/rules/none", None, 404),
    ],
)
async def test_what_makes_no_sense_is_refused_with_a_hint(fleet, method, path, body, status):
    answer = await ask(fleet, method, path, body)

    assert answer.status_code == status, answer.text
    assert answer.json()["hint"]


async def test_a_preview_says_how_often_it_would_have_fired_and_changes_nothing(fleet):
    for _ in range(3):
        fleet.at += 7_200.0
        for temperature_c in (60.0, 85.0, 85.0, 85.0, 85.0, 60.0):
            fleet.at += 30.0
            fleet.telemetry("pi5-1", temperature_c=temperature_c)
        fleet.telemetry("pi5-2", temperature_c=50.0)
    before = fleet.listed("all")

    found = (await ask(fleet, "POST", "/rules/preview", HOT | {"for_s": 60.0, "days": 7.0})).json()
    assert found["sentence"] == "would have fired 3 times in 7 days, on 1 of 2 devices"
    assert (found["devices"][0]["device_id"], found["devices"][0]["fired"]) == ("pi5-1", 3)
    assert (found["readings"], found["devices_meant"]) == (21, 2)
    assert fleet.listed("all") == before
    with fleet.store.transaction():
        while Rollups(store=fleet.store).tick(fleet.at + 3_600.0):
            pass
    summed = (await ask(fleet, "POST", "/rules/preview", HOT | {"for_s": 60.0, "days": 7.0})).json()
    assert (summed["sentence"], summed["readings"]) == (found["sentence"], 21)
    higher = (await ask(fleet, "POST", "/rules/preview", HOT | {"threshold": 90.0})).json()
    assert (higher["fired"], higher["sentence"]) == (0, "would not have fired in 7 days on any of 2 devices")
    narrow = (await ask(fleet, "POST", "/rules/preview", HOT | {"device_ids": ["pi5-2"], "days": 1.0})).json()
    assert narrow["sentence"] == "would not have fired in 1 day on any of 1 device"


async def test_a_preview_without_data_or_of_what_is_not_kept_says_so(fleet):
    soc = {"quantity": "soc_pct", "comparison": "<", "threshold": 20.0}
    assert (await ask(fleet, "POST", "/rules/preview", soc)).json()["sentence"] == (
        "no data: none of 2 devices told soc_pct in 7 days"
    )
    gone = {"quantity": "offline_s", "comparison": ">", "threshold": 20.0}
    found = (await ask(fleet, "POST", "/rules/preview", gone)).json()
    assert (found["fired"], found["sentence"]) == (None, "offline_s is not kept over time: no preview of it")


async def test_status_and_metrics_count_what_fires(fleet):
    fleet.hot("pi5-1")
    fleet.hot("pi5-2")
    await ask(fleet, "POST", "/too-hot@pi5-1/ack", {})
    async with fleet.http as http:
        status = (await http.get("/api/status")).json()
        text = (await http.get("/metrics")).text

    assert {name: status["alerts"][name] for name in ("open", "warning", "acknowledged")} == {
        "open": 1,
        "warning": 1,
        "acknowledged": 1,
    }
    assert 'edgewatt_alerts_firing{severity="warning"} 2.0' in text
    assert 'edgewatt_alerts{view="acknowledged"} 1.0' in text
