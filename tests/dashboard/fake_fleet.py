"""A plausible, seedable fleet as REST documents: what the fake controller answers with."""

import hashlib
import math
import random
import time

BOARDS = {
    "jetson_nano_2gb": "NVIDIA Jetson Nano 2GB Developer Kit",
    "raspberry_pi_5": "Raspberry Pi 5 Model B Rev 1.0",
    "raspberry_pi_4": "Raspberry Pi 4 Model B Rev 1.4",
    "beaglebone_black": "BeagleBone Black Rev C",
}
COST = {"jetson_nano_2gb": 0.45, "raspberry_pi_5": 0.3, "raspberry_pi_4": 0.62, "beaglebone_black": 2.4}
"""mJ per million MACs, roughly, so that figures differ between boards."""

NAMED = [
    ("jetson-1", "jetson_nano_2gb", "A"),
    ("pi5-1", "raspberry_pi_5", "A"),
    ("pi5-2", "raspberry_pi_5", "B"),
    ("pi4-1", "raspberry_pi_4", "B"),
    ("bbb-1", "beaglebone_black", "B"),
]

MODELS = [
    {"name": "digits_mlp", "params_m": 0.05, "gmacs": 0.00005, "size_mb": 0.21, "top1_pct": 94.2, "trained": True},
    {"name": "digits_cnn_s", "params_m": 0.31, "gmacs": 0.0121, "size_mb": 1.3, "top1_pct": 97.1, "trained": True},
    {"name": "digits_cnn_l", "params_m": 1.9, "gmacs": 0.214, "size_mb": 7.7, "top1_pct": 98.4, "trained": True},
    {
        "name": "mobilenet_v1_untrained",
        "params_m": 4.2,
        "gmacs": 0.569,
        "size_mb": 17.0,
        "top1_pct": None,
        "trained": False,
    },
]

LISTED = [
    {"name": "mobilenetv3_small_100", "family": "mobilenetv3", "params_m": 2.54, "gmacs": 0.0565, "top1_pct": 67.636}
    | {"top1_source": "timm results, mobilenetv3_small_100.lamb_in1k at 224", "popular": True},
    {"name": "resnet18", "family": "resnet", "params_m": 11.7, "gmacs": 1.81, "top1_pct": 73.286}
    | {"top1_source": "timm results, resnet18.fb_swsl_ig1b_ft_in1k at 224", "popular": True},
    {"name": "resnet10t", "family": "resnet", "params_m": 5.44, "gmacs": 0.70, "top1_pct": None}
    | {"top1_source": None, "popular": False},
]
"""What could be made."""


def sha(name):
    return hashlib.sha256(name.encode()).hexdigest()


def models():
    return [
        model
        | {
            "variant": "fp32",
            "format": "onnx",
            "artifact_sha256": sha(model["name"]),
            "artifact_size": int(model["size_mb"] * 1e6),
            "macts_m": model["gmacs"] * 900,
            "input_shape": [1, 3, 224, 224] if model["gmacs"] > 0.1 else [1, 1, 28, 28],
            "source": "timm" if not model["trained"] else "EdgeWatt digits, trained readout",
            "labels": 10 if model["trained"] else 1000,
            "popular": False,
            "family": None,
            "top1_source": "its file" if model["trained"] else None,
            "stored": True,
            "formats": ["onnx"],
            "artifacts": [{"format": "onnx", "size": int(model["size_mb"] * 1e6), "sha256": sha(model["name"])}],
        }
        for model in MODELS
    ]


def listed():
    absent = dict.fromkeys(("format", "artifact_sha256", "artifact_size", "size_mb", "macts_m", "trained"))
    shape = {"stored": False, "formats": [], "artifacts": [], "labels": 1000, "input_shape": [1, 3, 224, 224]}
    return [model | absent | shape | {"variant": "fp32", "source": f"timm {model['name']}"} for model in LISTED]


def predicted(model, device_type):
    """Energy of one inference with its interval, or None of a model nobody knows."""
    known = {entry["name"]: entry for entry in MODELS + LISTED}
    if model not in known:
        return None
    energy = 1.2 + known[model]["gmacs"] * 1000 * COST.get(device_type, 1)
    return {
        "energy_mj": round(energy, 2),
        "low_mj": round(energy * 0.83, 2),
        "high_mj": round(energy * 1.21, 2),
        "support": "high" if device_type != "beaglebone_black" else "proxy",
        "predictor": f"{device_type}@1",
    }


def device(device_id, device_type, tags, *, model="digits_cnn_s", health="live", seed=0, now=None):
    """One device document of the list."""
    now = time.time() if now is None else now
    luck = random.Random(f"{device_id}/{seed}")
    forecast = predicted(model, device_type)
    energy = round(forecast["energy_mj"] * luck.uniform(0.9, 1.08), 2)
    age = {"live": luck.uniform(0.3, 4.8), "late": 61.0, "silent": 1260.0, "asleep": 90.0, "offline": 7900.0}.get(
        health
    )
    p50 = round(energy * luck.uniform(0.35, 0.5), 2)
    active = {
        "model": model,
        "artifact_sha256": sha(model),
        "runtime": "onnxruntime",
        "gen": 3,
        "deployment_id": f"dep-{device_id}",
    }
    latest = {
        "ts": now - (age or 0),
        "session": f"{device_id}-7",
        "seq": 412,
        "cpu_usage_percent": round(luck.uniform(8, 40), 1),
        "ram_usage_mb": round(luck.uniform(220, 900)),
        "ram_usage_percent": round(luck.uniform(14, 60), 1),
        "temperature_c": round(luck.uniform(41, 58), 1),
        "storage_usage_mb": 5210,
        "uptime_seconds": 86_400 * luck.uniform(0.2, 20),
        "inference_active": True,
        "model": model,
        "inferences": 5,
        "top1_pct": 97.0,
        "answer": {"label": "7", "confidence": 0.98, "truth": "7"},
        "latency_ms": {"p50": p50, "p95": round(p50 * 1.3, 2), "max": round(p50 * 1.9, 2)},
        "energy": {"source": "simulated", "energy_mj": energy, "power_mw": round(energy * 40), "rate_hz": 10},
    }
    return {
        "id": device_id,
        "health": health,
        "health_reason": {
            "live": "readings arrive every 5 s",
            "late": "the last reading is 1 min old",
            "silent": "connected, but no reading for 21 min",
            "offline": "the broker says it is gone (lost)",
            "never_seen": "announced, but it never sent a reading",
            "asleep": "sleeps until 14:05 UTC (in 9 min)",
        }[health],
        "approved": True,
        "device_type": device_type,
        "board": BOARDS.get(device_type, device_type),
        "ip": "127.0.0.1",
        "tags": tags,
        "simulated": True,
        "agent_version": "0.1.0",
        "formats": ["onnx"],
        "runtimes": [{"name": "onnxruntime", "version": "1.32.0", "formats": ["onnx"]}],
        "last_reading_at": None if age is None else now - age,
        "reading_age_s": age,
        "status_at": now - 400,
        "phase": "running",
        "active": None if age is None else active,
        "previous": None,
        "desired": None if age is None else {"gen": 3, "model": model, "deployment_id": f"dep-{device_id}"},
        "wake_at": now + 570 if health == "asleep" else None,
        "drift": None if age is None else "in step",
        "budget": None
        if age is None
        else {
            "energy_mj": round(forecast["high_mj"] * 1.3, 1),
            "latest_mj": energy,
            "avg_mj": energy,
            "status": "ok",
            "source": "simulated",
        },
        "latest": None if age is None else latest,
        "predicted": forecast,
        "gaps": 0,
        "refused": {},
    }


def over_budget(document, by=1.45):
    """Make a device spend more than it may, hot and slow."""
    budget = document["budget"]
    spent = round(budget["energy_mj"] * by, 2)
    document["budget"] = budget | {"latest_mj": spent, "avg_mj": round(spent * 0.96, 2), "status": "over_budget"}
    document["latest"]["energy"]["energy_mj"] = spent
    document["latest"] |= {"temperature_c": 84.2, "throttled": True}
    return document


def fleet(count, seed=0, now=None):
    """Five named devices with one over budget and one silent, then as many as asked."""
    now = time.time() if now is None else now
    named = [
        device(name, kind, {"line": line}, seed=seed, now=now, health="silent" if name == "bbb-1" else "live")
        for name, kind, line in NAMED[:count]
    ]
    if count > 2:
        over_budget(named[2])
    luck = random.Random(seed)
    kinds = list(BOARDS)
    rest = []
    for index in range(len(named), count):
        health = luck.choices(["live", "late", "silent", "offline", "never_seen"], [94, 2, 2, 1.5, 0.5])[0]
        tags = {"line": luck.choice("ABCD"), "site": luck.choice(["oslo", "turin", "lyon"])}
        made = device(f"edge-{index:04d}", luck.choice(kinds), tags, health=health, seed=seed, now=now)
        rest.append(over_budget(made) if made["latest"] and luck.random() < 0.01 else made)
    return named + rest


def series(document, minutes, points, now):
    """Buckets of the past; the shape depends only on the device and the time."""
    bucket = max(5.0, minutes * 60 / points)
    latest, out = document["latest"], []
    if latest is None:
        return [], bucket
    end = min(now, document["last_reading_at"] or now)
    count = min(points, int(minutes * 60 / bucket))
    for step in range(count):
        ts = end - (count - step) * bucket
        if ts < now - minutes * 60:
            continue
        wave = 1 + 0.04 * math.sin(ts / 97) + 0.03 * math.sin(ts / 13 + len(document["id"]))
        heat = 1 + (0.5 * step / count if latest.get("throttled") else 0.0)
        scale = wave * heat / (1.5 if latest.get("throttled") else 1)

        def spread(value, scale=scale):
            return {"min": value * scale * 0.94, "mean": value * scale, "max": value * scale * 1.08}

        out.append(
            {
                "ts": ts,
                "samples": 3,
                "cpu_usage_percent": spread(latest["cpu_usage_percent"]),
                "ram_usage_mb": spread(latest["ram_usage_mb"]),
                "ram_usage_percent": spread(latest["ram_usage_percent"]),
                "temperature_c": spread(latest["temperature_c"]),
                "latency_p50_ms": spread(latest["latency_ms"]["p50"]),
                "latency_p95_ms": spread(latest["latency_ms"]["p95"]),
                "energy_mj": spread(latest["energy"]["energy_mj"]),
                "energy_source": "simulated",
                "model": latest["model"],
                "inferences": 15,
            }
        )
    return out, bucket
