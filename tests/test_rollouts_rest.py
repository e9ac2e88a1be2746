"""Rollouts over REST: planned, made once, watched, steered; what makes no sense is refused by its field."""

import pytest

from controller.service import Wish
from tests.rolling_fleet import MODEL, RollingFleet


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    running = RollingFleet(tmp_path_factory.mktemp("rest"))
    running.join("a1", "a2", "a3", tags={"line": "A"})
    running.join("b1", online=False, tags={"line": "B"})
    yield running
    running.store.close()


async def post(fleet, path="", headers=None, **body):
    async with fleet.http as http:
        return await http.post(f"/api/rollouts{path}", json=body, headers=headers or {})


async def get(fleet, path="", **query):
    async with fleet.http as http:
        return (await http.get(f"/api/rollouts{path}", params=query)).json()


async def test_a_dry_run_answers_with_the_plan_and_makes_nothing(fleet):
    before = (await get(fleet))["total"]
    answer = await post(fleet, model_name=MODEL, tags=["line=A", "line=B"], waves=[1, "100%"], dry_run=True)
    plan = answer.json()["plan"]

    assert answer.json()["allowed"] is True
    assert [(wave["devices"], wave["away"]) for wave in plan["waves"]] == [(1, 0), (3, 1)]
    assert plan["waves"][1]["ids"] == ["a2", "a3", "b1"]
    assert plan["boards"][0]["device_type"] == "raspberry_pi_5"
    assert (await get(fleet))["total"] == before


async def test_a_rollout_from_its_request_to_its_end(fleet):
    body = {"model_name": MODEL, "tags": ["line=A"], "waves": ["1", "100%"], "max_energy_mj": 1e5}
    headers = {"Idempotency-Key": "k-1", "X-EdgeWatt-Origin": "dashboard"}
    answer = await post(fleet, headers=headers, **body)
    again = await post(fleet, headers=headers, **body)
    rollout_id = answer.json()["rollout_id"]
    assert (answer.status_code, answer.json()["watch"]) == (202, f"/api/rollouts/{rollout_id}")
    assert again.json()["rollout_id"] == rollout_id
    other = await post(fleet, headers=headers, **(body | {"waves": ["100%"]}))
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")

    fleet.tick()
    fleet.succeed("a1")
    fleet.tick()
    fleet.fail("a2")
    fleet.tick()
    shown = await get(fleet, f"/{rollout_id}", limit=2)
    rollout = shown["rollout"]
    assert (rollout["who"], rollout["phase"], rollout["wave"], rollout["size"]) == ("dashboard", "running", 2, 3)
    assert rollout["rules"]["guards"]["energy_mj"] == 1e5
    assert (shown["total"], [part["standing"] for part in shown["devices"]]) == (3, ["failed", "fetching"])
    assert shown["devices"][0]["stage"] == "probing"
    (figures,) = rollout["figures"]
    assert (figures["when"], figures["source"], figures["energy_mj"], figures["devices"]) == ("after", "pmic", 5.0, 1)
    assert figures["predicted"]["high_mj"] >= figures["predicted"]["energy_mj"]
    assert next(e["who"] for e in rollout["events"]) == "dashboard"
    only_failed = await get(fleet, f"/{rollout_id}", standing="failed")
    assert [part["device_id"] for part in only_failed["devices"]] == ["a2"]

    assert (await post(fleet, f"/{rollout_id}/pause", reason="wait")).status_code == 202
    assert (await post(fleet, f"/{rollout_id}/retry")).status_code == 202
    assert (await post(fleet, f"/{rollout_id}/resume")).json()["rollout"]["phase"] == "running"
    assert (await post(fleet, f"/{rollout_id}/abort", reason="enough")).json()["rollout"]["phase"] == "aborted"
    refused = await post(fleet, f"/{rollout_id}/abort")
    assert (refused.status_code, refused.json()["hint"]) == (
        409,
        "this can be asked of one that is running or paused or planned",
    )


async def test_all_that_happened_in_a_rollout_is_found_by_it_and_nothing_else(fleet):
    fleet.join("e1", "e2", tags={"line": "E"})
    fleet.service.deploy(Wish(device_id="e1", model="digits_mlp", origin="cli"), fleet.at)
    made = await post(fleet, model_name=MODEL, device_ids=["e1", "e2"], waves=["1", "100%"])
    rollout_id = made.json()["rollout_id"]
    fleet.tick()
    fleet.fail("e1")
    fleet.tick()
    await post(fleet, f"/{rollout_id}/resume")
    await post(fleet, f"/{rollout_id}/retry")
    fleet.tick()
    fleet.succeed("e1")
    fleet.tick()
    await post(fleet, f"/{rollout_id}/abort", reason="enough", roll_back=True)
    fleet.tick()
    async with fleet.http as http:
        found = (await http.get("/api/logs", params={"rollout_id": rollout_id, "limit": 1_000})).json()["logs"]
        failed = (await http.get("/api/logs", params={"rollout_id": rollout_id, "q": "failed"})).json()["logs"]
        exported = (await http.get("/api/logs/export", params={"rollout_id": rollout_id, "format": "json"})).json()
        unknown = [await http.get(path, params={"rollout_id": "r9"}) for path in ("/api/logs", "/api/logs/export")]
    kinds = [each["type"] for each in found]

    assert {"rollout", "deployment", "command"} == set(kinds)
    assert len({each["deployment_id"] for each in found if each["type"] == "deployment"}) == 2 + ("e2" in str(found))
    assert {each["facts"]["rollout_id"] for each in found if each["type"] == "rollout"} == {rollout_id}
    assert "digits_mlp" not in str([each["text"] for each in found])
    assert failed
    assert [each["id"] for each in exported["logs"]] == [each["id"] for each in found]
    assert (exported["metadata"]["error_count"], exported["metadata"]["success_count"]) == (1, 1)
    assert [(each.status_code, each.json()["error"]) for each in unknown] == [(404, "no rollout 'r9'")] * 2


async def test_who_is_waited_for_is_named_with_the_reason(fleet):
    fleet.join("c1", "c2", tags={"line": "C"})
    answer = await post(fleet, model_name=MODEL, tags=["line=C"], waves=["100%"])
    fleet.tick()
    fleet.leave("c2", reason="sleep", ts=fleet.at, wake_at=fleet.at + 3_600)
    fleet.tick(seconds=10)
    shown = (await get(fleet, f"/{answer.json()['rollout_id']}"))["rollout"]

    assert [(each["device_id"], each["why"]) for each in shown["waiting_for"]] == [("c2", "sleeps until 09:00 UTC")]
    assert shown["outcome"] == "0 of 2 done, 1 away, 1 under way"


async def test_what_the_gate_refuses_comes_back_with_the_plan(fleet):
    answer = await post(fleet, model_name="digits_cnn_l", tags=["line=A"], max_energy_mj=40.0)

    assert (answer.status_code, answer.json()["code"]) == (409, "over_budget")
    assert answer.json()["plan"]["excluded_count"] == 3
    dry = (await post(fleet, model_name="digits_cnn_l", tags=["line=A"], max_energy_mj=40.0, dry_run=True)).json()
    assert (dry["allowed"], dry["refusal"]) == (False, "3 of 3 devices may not get the model")


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"waves": ["10%", "5%", "100%"]}, 422, "reaches no further"),
        ({"waves": ["1", "10%"]}, 422, "the last wave has to be 100%"),
        ({"waves": ["some"]}, 422, "is no wave"),
        ({"waves": []}, 422, "needs a wave"),
        ({"waves": [["a1"]]}, 422, "no wave has a2"),
        ({"waves": [["a1", "zz"], "100%"]}, 404, "no device 'zz'"),
        ({"tags": []}, 422, "no device is meant"),
        ({"tags": ["line"]}, 422, "is no tag"),
        ({"tags": ["line=Z"]}, 404, "no device is meant"),
        ({"model_name": "nothing_like_it"}, 404, "nothing_like_it"),
        ({"model_name": " "}, 422, "model_name is empty"),
        ({"failure_percent": 101.0}, 422, "failure_percent must be 0 to 100"),
        ({"fewest_judged": 0}, 422, "fewest_judged must be at least 1"),
        ({"at_once": 0}, 422, "at_once must be at least 1"),
        ({"bytes_per_s": 0.0}, 422, "bytes_per_s must be at least 1"),
        ({"deadline_s": 0.0}, 422, "deadline_s must be"),
        ({"window": "at night"}, 422, "is no window"),
        ({"guards": {"temperature_c": -1.0}}, 422, "is no limit"),
        ({"guards": {"heat": 1.0}}, 422, "guards.heat"),
        ({"on_breach": "panic"}, 422, "on_breach"),
        ({"max_energy": 1.0, "max_energy_mj": 1.0}, 422, "both given"),
        ({"force": True}, 422, "an override needs a reason"),
        ({"fail_percent": 1.0}, 422, "fail_percent"),
        ({"max_energy_mj": "much"}, 422, "max_energy_mj"),
    ],
)
async def test_nonsense_is_refused_by_its_field(fleet, change, status, said):
    answer = await post(fleet, **({"model_name": MODEL, "tags": ["line=A"]} | change))

    assert answer.status_code == status, answer.json()
    assert said in answer.json()["error"]


async def test_an_unknown_rollout_is_not_found(fleet):
    assert (await get(fleet, "/nothing"))["code"] == "not_found"
    assert (await post(fleet, "/nothing/pause")).status_code == 404
