"""Telemetry as boards send it, and stores that know the boards."""

from broker.messages import Energy, Latency, Telemetry
from controller.storage.database import Place
from controller.storage.store import Store

T0 = 1_800_000_000.0


def telemetry(number: int, ts: float) -> Telemetry:
    """Return the sample `number` of a board."""
    return Telemetry(
        ts=ts,
        session="0f3a9c41d2b7",
        seq=number,
        cpu_usage_percent=12.5 + number % 60,
        ram_usage_mb=512.25 + number % 100,
        ram_usage_percent=25.5,
        temperature_c=51.0 + number % 9,
        storage_usage_mb=9_120.5,
        latency_ms=Latency(p50=1.125, p95=2.25, max=3.5),
        energy=Energy(source="pmic", energy_mj=12.75, power_mw=2_412.5),
        inferences=20,
        model="digits_cnn_s",
    )


def with_devices(place: Place, count: int) -> Store:
    """Return a store that knows so many devices: pi5-0 and so on."""
    store = Store(place)
    with store.transaction():
        for number in range(count):
            store.add_device(f"pi5-{number}", T0, approved=True)
    return store
