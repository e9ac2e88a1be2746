"""Figures for Prometheus: readable by its own parser, and true."""

from prometheus_client.parser import text_string_to_metric_families

from controller.feedback.ledger import Entry
from tests.controlling import controller


async def figures(running):
    answer = await running.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_the_figures_tell_fleet_messages_deployments_and_errors(tmp_path):
    async with controller(tmp_path) as running, running.joined():
        body = {"device_id": "pi5-1", "model_name": "digits_cnn_s"}
        await running.deploy(**body, max_energy_mj=0.001)
        running.hub.deliver("device/pi5-1/state", b"{", 1, retain=False)
        book = running.parts.service.bookkeeping.book
        entry = {"device_id": "pi5-1", "device_type": "raspberry_pi_5", "model": "m", "actual_mj": 10.0, "at": 1.0}
        book.add(Entry(**entry, source="pmic", simulated=False, predicted_mj=12.0, low_mj=5.0, high_mj=20.0))
        book.add(Entry(**entry, source="simulated", simulated=True, predicted_mj=15.0))

        async def counted():
            return (await figures(running))["edgewatt_messages_refused_total", "malformed"] == 1

        await running.until(counted)
        told = await figures(running)

    assert told["edgewatt_devices", "silent"] == 1
    assert told["edgewatt_devices", "asleep"] == 0
    assert told["edgewatt_deployments", "refused"] == 1
    assert told["edgewatt_broker_connected",] == 1
    assert told["edgewatt_messages_received_total",] > 2
    assert told["edgewatt_predictor_mape_percent", "false", "raspberry_pi_5"] == 20
    assert told["edgewatt_predictor_mape_percent", "raspberry_pi_5", "true"] == 50
    assert told["edgewatt_predictor_coverage_percent", "false", "raspberry_pi_5"] == 100
