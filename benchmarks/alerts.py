"""What rules cost a controller of 10,000 devices whose telemetry comes every 5 s, as a share of one processor."""

import json
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from broker.messages import ActiveModel, BudgetState, Energy, Info, Latency, State, Telemetry
from broker.wire import document
from controller.alerts.builtin import BUILT_IN
from controller.alerts.composing import compose_alerts
from controller.alerts.desk import AlertDesk
from controller.alerts.evaluating import BUDGET_S
from controller.storage.store import Store

DEVICES = 10_000
INTERVAL_S = 5
SECONDS = 70
STORM_SECONDS = 100
"""Long enough that the alert of every device begins, and what waited meanwhile is caught up with."""

NOON = 1_800_000_000.0


def main() -> None:
    """Print the processor time of a second while all is well, and while every device is too hot."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "controller.db")
        bus = SimpleNamespace(connected=True, dropped=0)
        desk = compose_alerts(store, bus, Path(folder), {}, max_mb=10_000.0, notices=False)
        desk.evaluating.elapsed = time.process_time  # a look that neighbours hold up does not end before its work
        names = [f"d{number:05d}" for number in range(DEVICES)]
        settle(store, names)
        report("alerts, all well", seconds(desk, names, NOON, SECONDS, 50.0), desk)
        report("alerts, every device too hot", seconds(desk, names, NOON + SECONDS, STORM_SECONDS, 90.0), desk)
        store.close()


def settle(store: Store, names: list[str]) -> None:
    """Register devices that run a model under a budget."""
    info = document(Info(device_type="raspberry_pi_5", formats=("onnx",), tags={"line": "A"}, disk_free_mb=9_000.0))
    active = ActiveModel(model="m", artifact_sha256="a" * 64, runtime="onnxruntime")
    budget = BudgetState(energy_mj=10.0, latest_mj=5.0, avg_mj=5.0)
    state = document(State(rev=1, session="s", phase="running", active=active, budget=budget))
    status = {"online": True, "session": "s", "interval_s": INTERVAL_S}
    with store.transaction():
        for name in names:
            store.add_device(name, NOON, approved=True)
            store.put_device(name, info=info, state=state, online=1, status=status, status_at=NOON)


def seconds(desk: AlertDesk, names: list[str], begin: float, count: int, temperature_c: float) -> list[float]:
    """Return the processor time that each of `count` seconds took; each brings a fifth of the fleet's samples."""
    took_s = []
    for second in range(1, count + 1):
        at = begin + second
        told = {name: (sample(at, temperature_c), at) for name in names[second % INTERVAL_S :: INTERVAL_S]}
        with desk.store.transaction():
            for name, (reading, _) in told.items():
                desk.store.put_device(name, reading=reading, reading_at=at)
        began = time.process_time()
        desk.heard(told, [])
        desk.tick(at, None)
        took_s.append(time.process_time() - began)
    return took_s


def sample(at: float, temperature_c: float) -> Telemetry:
    """Return what a device says."""
    return Telemetry(
        ts=at,
        session="s",
        seq=int(at - NOON),
        cpu_usage_percent=20.0,
        ram_usage_percent=40.0,
        temperature_c=temperature_c,
        model="m",
        latency_ms=Latency(p50=1.0, p95=2.0, max=3.0),
        energy=Energy(source="pmic", energy_mj=5.0, power_mw=900.0),
        soc_pct=80.0,
    )


def report(name: str, took_s: list[float], desk: AlertDesk) -> None:
    """Print the mean and the longest second, and how many devices with news wait then: a look ends by the budget."""
    mean_ms = 1e3 * sum(took_s) / len(took_s)
    figure = {"name": f"{name}: {DEVICES:,} devices, {len(BUILT_IN)} rules", "unit": "ms of processor time a second"}
    figure |= {"value": round(mean_ms, 1), "longest": round(1e3 * max(took_s), 1), "ratio": round(mean_ms / 1e3, 3)}
    figure |= {"reference": "one processor", "budget": BUDGET_S, "behind": desk.evaluating.behind}
    keeps_up = desk.evaluating.behind <= DEVICES / INTERVAL_S
    print(json.dumps(figure | {"met": mean_ms / 1e3 <= BUDGET_S and keeps_up}))


if __name__ == "__main__":
    main()
