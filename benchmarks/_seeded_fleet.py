"""A database of a fleet with a past, made by direct inserts: the same devices and figures for the same seed."""

import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

from broker.messages import Energy, Latency, Telemetry
from broker.phases import Phase
from controller.deployment import Deployment
from controller.records import Deployments
from controller.storage.store import Store
from controller.telemetry import history
from controller.telemetry.rollups import HOUR_S, Rollups, floor_to

BOARDS = {"raspberry_pi_5": 4.8, "jetson_nano_2gb": 6.6, "raspberry_pi_4": 8.7, "beaglebone_black": 29.0}
"""Types of board, and what an inference costs there, mJ."""
MODEL, SHA256 = "digits_cnn_s", "5" * 64
MINUTE_S, DAY_S = 60.0, 86_400.0
SESSION = "seeded-1"


def fill(path: Path, *, devices: int, deep: int, days: float, seed: int = 0) -> int:
    """Write `devices` into a new database, `deep` of them with a sample a minute for `days`; return the samples.

    The first of each board among the deep is made sample by sample; the others have what it has, under their own name.
    """
    store, now = Store(path), time.time()
    luck, samples = random.Random(seed), 0
    names = [(f"edge-{index:04d}", luck.choice(list(BOARDS))) for index in range(devices)]
    with store.transaction():
        for index, (device_id, board) in enumerate(names):
            store.add_device(device_id, now - days * DAY_S, approved=True)
            store.put_device(device_id, **_columns(board, index, now, luck))
            Deployments(store).put(succeeded(f"d-{index:05d}", device_id, f"c-{index}", now - 60 * index))
            told = {"device_id": device_id, "deployment_id": f"d-{index:05d}", "phase": "succeeded"}
            store.add_event(
                now - 60 * index, "deployment", f"{MODEL} on {device_id}: succeeded", who="dashboard", **told
            )
    made: dict[tuple[str, float], tuple[str, int]] = {}
    for index, (device_id, board) in enumerate(names):
        span_s = days * DAY_S if index < deep else 3_600.0
        with store.transaction():
            if (board, span_s) in made:
                twin, many = made[board, span_s]
                _copy(store, twin, device_id)
            else:
                past = list(_past(device_id, board, now - span_s, now, index))
                history.add_samples(store, past)
                many = len(past)
                _sum_up(store, device_id, now - span_s, now, days)
                made[board, span_s] = (device_id, many)
            samples += many
    store.close()
    return samples


def _copy(store: Store, twin: str, device_id: str) -> None:
    names = [row["name"] for row in store.query("PRAGMA table_info(samples)") if row["name"] != "device_id"]
    past = store.connection.execute(f"SELECT {', '.join(names)} FROM samples WHERE device_id = ?", [twin])
    store.samples.add(("device_id", *names), [(device_id, *row) for row in past])
    for table in ("telemetry_minutes", "telemetry_hours"):
        found = store.query(f"PRAGMA table_info({table})")
        columns = ", ".join(row["name"] for row in found if row["name"] != "device_id")
        store.connection.execute(
            f"INSERT INTO {table} (device_id, {columns}) SELECT ?, {columns} FROM {table} WHERE device_id = ?",
            [device_id, twin],
        )
    store.connection.execute(
        "UPDATE rolled SET until = (SELECT until FROM rolled WHERE device_id = ?) WHERE device_id = ?",
        [twin, device_id],
    )


def _sum_up(store: Store, device_id: str, since: float, now: float, days: float) -> None:
    rollups, closed = Rollups(store=store, raw_days=days + 1), floor_to(now - 300.0, MINUTE_S)
    at = floor_to(since, HOUR_S)
    while at < closed:
        rollups.step(device_id, at, closed, oldest=since - DAY_S)
        at += DAY_S


def _past(device_id: str, board: str, since: float, until: float, index: int) -> Iterator[tuple[str, Telemetry, float]]:
    cost = BOARDS[board]
    for seq in range(int((until - since) / MINUTE_S)):
        ts = since + seq * MINUTE_S
        wave = 1 + 0.1 * math.sin(ts / 7_000 + index) + 0.03 * math.sin(ts / 311)
        p50 = cost * 0.4 * wave
        yield (
            device_id,
            Telemetry(
                ts=ts,
                session=SESSION,
                seq=seq,
                cpu_usage_percent=20 * wave,
                ram_usage_mb=420.0,
                ram_usage_percent=38.0,
                temperature_c=52 * wave,
                storage_usage_mb=5_200 + seq / 400,
                model=MODEL,
                inferences=120,
                latency_ms=Latency(p50=p50, p95=p50 * 1.3, max=p50 * (9 if seq % 911 == 0 else 1.8)),
                energy=Energy(source="simulated", energy_mj=cost * wave, power_mw=cost * 40 * wave),
                soc_pct=60 + 30 * math.sin(ts / DAY_S * math.tau),
                throttled=wave > 1.12,
            ),
            ts,
        )


def _columns(board: str, index: int, now: float, luck: random.Random) -> dict[str, object]:
    cost = BOARDS[board] * luck.uniform(0.9, 1.1)
    away = luck.random() < 0.04
    reading_at = now - (7_200 if away else luck.uniform(0, 5))
    predict = {"energy_mj": BOARDS[board], "low_mj": BOARDS[board] * 0.83, "high_mj": BOARDS[board] * 1.2}
    budget = {"energy_mj": cost * (0.8 if index % 97 == 0 else 1.4), "latest_mj": cost, "avg_mj": cost}
    active = {"model": MODEL, "artifact_sha256": SHA256, "runtime": "onnxruntime", "gen": 1, "deployment_id": "d"}
    over = "over_budget" if index % 97 == 0 else "ok"
    latency = {"p50": cost * 0.4, "p95": cost * 0.5, "max": cost * 0.9}
    vitals = {"cpu_usage_percent": 21.0, "ram_usage_mb": 420.0, "ram_usage_percent": 38.0, "temperature_c": 51.0}
    return {
        "online": int(not away),
        "status_at": reading_at,
        "reading_at": reading_at,
        "gen": 1,
        "info": {"device_type": board, "board": board, "simulated": True, "formats": ["onnx"], "agent_version": "0.1.0"}
        | {"tags": {"line": "ABCD"[index % 4], "site": ("oslo", "turin", "lyon")[index % 3]}, "cpu_count": 4},
        "status": {"online": not away, "session": SESSION, "interval_s": 5.0},
        "state": {
            "rev": 1,
            "session": SESSION,
            "phase": "running",
            "active": active,
            "budget": budget | {"status": over},
        },
        "desired": {"gen": 1, "deploy": {"op": "deploy", "id": f"c-{index}", "model": MODEL, "predict": predict}},
        "reading": vitals
        | {"ts": reading_at, "session": SESSION, "seq": 1, "latency_ms": latency, "storage_usage_mb": 5_200.0}
        | {"energy": {"source": "simulated", "energy_mj": cost, "power_mw": cost * 40}, "model": MODEL},
    }


def succeeded(deployment_id: str, device_id: str, command_id: str, at: float) -> Deployment:
    """Return a deployment that began and ended well at `at`, Unix s."""
    return Deployment(
        id=deployment_id,
        command_id=command_id,
        device_id=device_id,
        model=MODEL,
        origin="dashboard",
        created_at=at,
        since=at,
        news_at=at,
        deadline_at=at,
        phase=Phase.SUCCEEDED,
        result={"energy_mj": 5.0, "energy_source": "simulated"},
    )
