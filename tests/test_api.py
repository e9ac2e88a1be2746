"""REST: shapes, errors in one form, artifacts with Range."""

import hashlib

import pytest

from broker.messages import Energy
from tests.controlling import controller

MODEL = "digits_cnn_s"


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/nowhere", None, 404, "not_found"),
        ("PUT", "/api/deploy", None, 405, "method_not_allowed"),
        ("GET", "/api/devices/pi5-9", None, 404, "unknown_device"),
        ("GET", "/api/deployments/d9", None, 404, "not_found"),
        ("GET", "/api/commands/c9", None, 404, "not_found"),
        ("GET", "/api/devices?limit=0", None, 422, "invalid"),
        ("GET", "/models/sha256/zz", None, 404, "not_found"),
        ("POST", "/api/deploy", {}, 422, "invalid"),
        ("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": "  "}, 422, "invalid"),
        ("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": MODEL, "max_energy_mj": -1}, 422, "invalid"),
        ("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": MODEL, "max_energy_mj": "x"}, 422, "invalid"),
        ("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": MODEL, "max_energy_mj": True}, 422, "invalid"),
        ("POST", "/api/deploy", {"device_id": "pi5-1", "model_name": MODEL, "max_energy_mj": "50"}, 422, "invalid"),
        ("POST", "/api/deploy", {"bbb_ip": "10.0.0.9", "model_name": MODEL}, 404, "unknown_device"),
        ("POST", "/api/deploy", {"model_name": MODEL}, 422, "invalid"),
        ("POST", "/api/deploy", {"device_id": "pi5-1", "device_ip": "10.0.0.9", "model_name": MODEL}, 422, "invalid"),
        ("POST", "/api/deploy", {"bbb_ip": "10.0.0.8", "device_ip": "10.0.0.9", "model_name": MODEL}, 422, "invalid"),
        ("POST", "/api/device/stop", {}, 422, "invalid"),
        ("GET", "/api/device/metrics", None, 422, "invalid"),
        ("GET", "/api/device/metrics?bbb_ip=10.0.0.9", None, 404, "unknown_device"),
        ("GET", f"/api/deployments?offset={10**24}", None, 422, "invalid"),
        ("GET", f"/api/jobs?offset={10**24}", None, 422, "invalid"),
        ("GET", f"/api/rollouts?offset={10**24}", None, 422, "invalid"),
        ("POST", "/api/devices/pi5-1/command", {"op": "dance"}, 422, "invalid"),
        ("POST", "/api/device/explode", {"device_id": "pi5-1"}, 422, "invalid"),
        ("POST", "/api/predict-energy", {"device_type": "raspberry_pi_4"}, 422, "invalid"),
        ("POST", "/api/predict-energy", {"device_type": "raspberry_pi_4", "model_name": "nope"}, 404, "unknown_model"),
    ],
)
async def test_every_error_has_the_one_form(running, *, method, path, body, status, code):
    async with running.joined():
        answer = await running.http.request(method, path, json=body)

    told = answer.json()
    assert (answer.status_code, told["success"], told["code"]) == (status, False, code)
    assert told["error"]
    assert told["hint"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"op": "infer", "input": NaN}',
        b'{"op": "infer", "input": 1e999}',
        b'{"op": "infer", "model": "\\ud800"}',
    ],
)
async def test_a_body_that_is_no_json_is_refused_in_the_same_form(running, body):
    async with running.joined():
        headers = {"content-type": "application/json"}
        answer = await running.http.post("/api/devices/pi5-1/command", content=body, headers=headers)

    assert (answer.status_code, answer.json()["success"]) == (422, False)
    assert answer.json()["error"].startswith("the body is no JSON")


async def test_a_body_that_is_too_large_is_refused_whatever_length_it_tells(running):
    json, odd = {"content-type": "application/json"}, {"Idempotency-Key": "k", "Content-Length": "x"}
    small = await running.http.post("/api/deploy", content=b"{}", headers=json | odd)
    large = [
        await running.http.post("/api/predict-energy", content=b" " * 9_000_000, headers=json | more)
        for more in ({}, odd)
    ]

    assert [answer.status_code for answer in (small, *large)] == [422, 413, 413]


async def test_a_wrong_device_id_is_answered_with_the_nearest(running):
    async with running.joined():
        answer = await running.http.get("/api/devices/pi5_1")

    assert "pi5-1" in answer.json()["hint"]


async def test_a_device_is_found_by_the_address_it_reports(running):
    async with running.joined() as device:
        await device.join(ip="192.168.1.100")

        async def found():
            answer = await running.deploy(bbb_ip="192.168.1.100", model_name=MODEL, max_energy=50_000.0, dry_run=True)
            return answer.status_code == 200

        await running.until(found)
        deployed = (await running.deploy(bbb_ip="192.168.1.100", model_name=MODEL, max_energy=50_000.0)).json()

    assert deployed["device"] == {"id": "pi5-1", "ip": "192.168.1.100", "status": "queued"}
    assert deployed["message"] == "Deployment initiated"
    assert deployed["model"]["predicted_energy_mwh"] == pytest.approx(deployed["model"]["energy_mj"] / 7.2)


async def test_an_address_that_several_devices_report_is_the_connected_ones_or_has_to_be_told_apart(running):
    ip = {"ip": "10.1.1.1"}
    async with running.joined("old", info=ip) as old, running.joined("new", info=ip):
        two = await running.http.get("/api/device/metrics", params={"device_ip": "10.1.1.1"})
        await old.leave()
        await running.until(lambda: left(running, "old"))
        one = await running.http.get("/api/device/metrics", params={"device_ip": "10.1.1.1"})

    assert (two.status_code, two.json()["code"], two.json()["devices"]) == (409, "ambiguous_address", ["new", "old"])
    assert one.json()["device_id"] == "new"


async def left(running, device_id):
    return running.parts.service.store.device(device_id)["online"] == 0


async def test_a_budget_given_in_both_units_is_refused(running):
    async with running.joined():
        answer = await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy=1, max_energy_mj=2)

    assert (answer.status_code, answer.json()["field"]) == (422, "max_energy")


async def test_an_artifact_is_served_whole_in_ranges_and_with_its_hash(running):
    models = (await running.get("/api/models/all"))["models"]
    sha256 = next(model["artifact_sha256"] for model in models if model["name"] == "digits_mlp")
    path = f"/models/sha256/{sha256}"

    whole = await running.http.get(path)
    head = await running.http.head(path)
    tail = await running.http.get(path, headers={"Range": "bytes=1000-"})
    resumed = await running.http.get(path, headers={"Range": "bytes=1000-", "If-Range": whole.headers["etag"]})
    beyond = await running.http.get(path, headers={"Range": f"bytes={len(whole.content)}-"})

    assert hashlib.sha256(whole.content).hexdigest() == sha256 == whole.headers["x-checksum-sha256"]
    assert whole.headers["etag"] == f'"{sha256}"'
    assert int(head.headers["content-length"]) == len(whole.content)
    assert (tail.status_code, resumed.status_code, beyond.status_code) == (206, 206, 416)
    assert tail.content == resumed.content == whole.content[1000:]


async def test_a_prediction_is_given_in_both_units_with_its_interval_and_support(running):
    answer = await running.post("/api/predict-energy", device_type="raspberry_pi_4", model_name=MODEL)
    data = answer.json()["data"]

    assert data["low_mj"] <= data["energy_mj"] <= data["high_mj"]
    assert data["predicted_energy_mwh"] == pytest.approx(data["energy_mj"] / 7.2)
    assert (data["mwh_basis_inferences"], data["confidence_percent"]) == (500, 95)
    assert data["support"] in ("high", "proxy", "low")


async def test_a_list_of_predictions_answers_a_list_and_an_unknown_board_gets_no_figure(running):
    bodies = [{"device_type": kind, "model_name": MODEL} for kind in ("raspberry_pi_4", "beaglebone_black")]
    answer = (await running.http.post("/api/predict-energy", json=bodies)).json()["data"]

    assert [data["energy_mj"] is None for data in answer] == [False, True]
    assert answer[1]["support"] == "none"


async def test_flops_that_contradict_macs_are_refused_by_name(running):
    body = {"device_type": "raspberry_pi_4", "params_m": 2.0, "gmacs": 0.04, "gflops": 0.04, "size_mb": 8}
    answer = await running.post("/api/predict-energy", **body)

    assert (answer.status_code, answer.json()["field"]) == (422, "gflops")


async def test_the_devices_are_paged_searched_and_filtered_by_the_server(running):
    async with running.joined("pi5-1"), running.joined("jetson-1", device_type="jetson_nano_2gb"):
        both = await running.get("/api/devices", limit=1)
        one = await running.get("/api/devices", q="jetson")
        none = await running.get("/api/devices", health="offline")

    assert (both["total"], len(both["devices"])) == (2, 1)
    assert [device["id"] for device in one["devices"]] == ["jetson-1"]
    assert none["total"] == 0


async def test_metrics_of_a_device_have_the_designs_shape_and_absent_stays_null(running):
    async with running.joined() as device:
        await device.sample(1, cpu_usage_percent=12.0, energy=Energy(source="simulated", energy_mj=3.0))

        async def arrived():
            return (await running.get("/api/device/metrics", device_id="pi5-1"))["metrics"]["cpu_usage_percent"] == 12

        await running.until(arrived)
        told = await running.get("/api/device/metrics", device_id="pi5-1")

    assert told["status"] == "live"
    assert told["metrics"]["temperature_c"] is None
    assert set(told["energy_metrics"]) >= {"budget_mwh", "latest_mwh", "avg_mwh", "status"}


async def test_an_order_is_sent_and_its_answer_can_be_watched(running):
    async with running.joined() as device:
        order = (await running.post("/api/device/stop", device_id="pi5-1")).json()
        command = await device.next_command("stop")
        await device.ack(command.id, "succeeded", 2, op="stop", result={"stopped": True})

        async def done():
            return (await running.get(order["watch"]))["command"]["state"] == "succeeded"

        await running.until(done)
        told = (await running.get(order["watch"]))["command"]

    assert command.id == order["command_id"]
    assert told["ack"]["result"] == {"stopped": True}


async def test_the_log_can_be_exported_in_both_forms(running):
    async with running.joined():
        await running.deploy(device_id="pi5-1", model_name=MODEL, max_energy_mj=0.001)
        as_csv = await running.http.get("/api/logs/export", params={"format": "csv"})
        as_json = (await running.http.get("/api/logs/export", params={"format": "json"})).json()

    assert as_csv.text.startswith("id,at,type,who,device_id")
    assert any(entry["phase"] == "refused" for entry in as_json["logs"])
    assert as_json["metadata"]["total_deployments"] == 1


async def test_the_openapi_document_names_every_path(running):
    paths = (await running.get("/openapi.json"))["paths"]

    assert {"/api/deploy", "/api/devices/{device_id}", "/api/predict-energy", "/api/status"} <= set(paths)
