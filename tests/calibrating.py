"""What the tests of calibration and of learning share: a metered board, its prior, and a controller's second."""

from broker.messages import PowerSensor

PI_5 = "raspberry_pi_5"
METERED = {"power_sensor": PowerSensor(source="pmic")}
SIMULATED = {"simulated": True, "power_sensor": PowerSensor(source="simulated")}
FACTOR = 3.0
"""What the board of these tests costs over what other boards foretell."""


async def predicted(running, model, **more):
    return (await running.post("/api/predict-energy", model_name=model, **more)).json()["data"]


async def prior_of(running, model):
    device_type = PI_5
    return (await predicted(running, model, device_type=device_type))["energy_mj"]


async def tick(running):
    """Let the calibration look at the device now, and send what it asks for."""
    with running.parts.service.store.transaction():
        running.parts.calibrating.tick(running.parts.clock())
    running.parts.ingest.wake()


async def ended(running, command_id):
    state = (await running.get(f"/api/commands/{command_id}"))["command"]["state"]
    return state in ("succeeded", "failed")
