"""Advice as documents, over the fake controller's models: the frontier, the best per device, a plan, a battery."""

from tests.dashboard import fake_fleet


def pareto(fake, *, device_type="", **_):
    if device_type == "beaglebone_black":
        apart = [_row(model, device_type) | {"energy_mj": None, "reason": "measure it first"} for model in fake.models]
        return 200, {"device_type": device_type, "models": [], "apart": [each | {"reasons": []} for each in apart]}
    rows = sorted((_row(model, device_type) for model in fake.models), key=lambda each: each["energy_mj"])
    known = [each for each in rows if each["top1_pct"] is not None]
    for each in known:
        above = [m for m in known if m["energy_mj"] < each["energy_mj"] and m["top1_pct"] >= each["top1_pct"]]
        each |= {"dominated_by": [m["name"] for m in above], "on_frontier": not above, "surely": bool(above)}
    apart = [each | {"reason": "its accuracy was never measured", "reasons": []} for each in rows if each not in known]
    return 200, {"device_type": device_type, "models": known, "apart": apart}


def explain(fake, *, model="", device_type="", **_):
    found = next(each for each in fake.models if each["name"] == model)
    return 200, {
        "model": model,
        "device_type": device_type,
        "features": {name: found[name] for name in ("params_m", "gmacs", "size_mb")},
        "prediction": fake_fleet.predicted(model, device_type)
        | {"reasons": [], "basis": "architecture", "recommendation": "fit for continuous use"},
        "latency_ms": None,
        "nearest_measured": [{"name": "mobilenet-v2", "family": "mobilenet-v2", "gmacs": 0.3, "top1_pct": 71.0}],
        "variants": [{"name": f"{model} (int8)", "energy_mj": 3.0, "high_mj": 4.0, "accuracy_loss_points": 2.1}],
    }


def best(fake, body, **_):
    devices = [_best(fake, fake.find(device_id), body) for device_id in body["device_ids"]]
    if body.get("dry_run"):
        return 200, {"dry_run": True, "devices": devices}
    for each in devices:
        made = each["allowed"] and fake.add(fake.find(each["device_id"]), each["model"], events=[_SENT])
        each["deployment_id"] = made["id"] if made else None
    return 202, {"dry_run": False, "devices": devices}


def plan(fake, body, **_):
    wanted = body.get("device_ids") or [each["id"] for each in fake.devices]
    feasible = body["energy_wh_per_day"] > 1
    assigned = [
        {"device_id": name, "device_type": fake.find(name)["device_type"], "model": "digits_cnn_s"}
        | {"top1_pct": 97.1, "energy_mj": 9.0, "wh_per_day": 0.216}
        for name in wanted
    ]
    return 200, {
        "feasible": feasible,
        "optimal": True,
        "assigned": assigned if feasible else [],
        "left_out": [],
        "sentence": "a plan" if feasible else "not feasible: 1 Wh per day is 0.08 Wh short",
        "short_wh_per_day": 0.0 if feasible else 0.08,
    }


def metadata(_fake, **_):
    figures = {"mape_pct": 3.1, "family_mape_pct": 7.2, "coverage_pct": 94.7, "width_pct": 18.5}
    board = {"rows": 94, "architectures": 49, "framework": "TFLite", "kinds": {"full": {"figures": figures}}}
    loose = board | {"kinds": {"full": {"figures": figures | {"family_mape_pct": 24.0, "coverage_pct": 88.0}}}}
    boards = {"raspberry_pi_4": board, "odroid_n2": loose}
    return 200, {"data": {"boards": boards, "data": {"source": "MLPerf Inference v1.0-v3.0", "sha256": "8b07cd1d9270"}}}


def ledger(fake, **_):
    entries = [_entry(device, index) for index, device in enumerate(fake.devices[: fake.booked])]
    true = [each for each in entries if each["counts_as_truth"]]
    figures = {"n": len(true), "mape_percent": 8.1, "bias_percent": 3.0, "coverage_percent": 95.0}
    groups = {"per_device_type": {"raspberry_pi_5": figures}, "per_family": {"digits": figures}} if true else {}
    drift = [{"device_id": "pi5-2", "model": "digits_cnn_s", "baseline_mj": 4.0, "by_percent": 61.0, "alarm": True}]
    return 200, {"entries": entries, "summary": groups, "drift": drift if true else [], "total": len(entries)}


def _entry(device, index):
    said = fake_fleet.predicted("digits_cnn_s", device["device_type"])
    actual, true = said["energy_mj"] * (0.8 + 0.1 * index), index > 0
    names = ("predicted_mj", "low_mj", "high_mj")
    return dict(zip(names, (said[key] for key in ("energy_mj", "low_mj", "high_mj")), strict=True)) | {
        "device_id": device["id"],
        "device_type": device["device_type"],
        "model": "digits_cnn_s",
        "family": "digits",
        "actual_mj": actual,
        "source": "pmic" if true else "simulated",
        "counts_as_truth": true,
        "error_percent": 100 * (said["energy_mj"] - actual) / actual,
        "inside": said["low_mj"] <= actual <= said["high_mj"],
        "at": 0.0,
    }


def battery(_fake, device_id, *, model="", rate_hz="1", battery_wh="0", **_):
    return 200, {
        "device_id": device_id,
        "model": model,
        "rate_hz": float(rate_hz),
        "average_mw": 3_000.0,
        "battery_hours": float(battery_wh) / 3 or None,
        "battery_hours_at_high": float(battery_wh) / 3.2 or None,
        "solar_share": None,
        "peak_mw": 7_000.0,
        "supply_carries": "yes",
        "idle_source": "a data sheet",
        "notes": [],
    }


_SENT = {"at": 0.0, "phase": "sent", "reason": "", "who": "controller", "facts": {"attempt": 1, "seq": 0}}


def _best(fake, device, body):
    fitting = [
        (model, fake.gate(device, model["name"], body["max_energy_mj"], body.get("policy"), None))
        for model in fake.models
        if (model["top1_pct"] or 0) >= body.get("min_top1", 0) and model["trained"]
    ]
    allowed = [(model["top1_pct"], model["name"], verdict) for model, verdict in fitting if verdict["allowed"]]
    top1, name, verdict = max(allowed, default=(None, None, None), key=lambda each: each[0])
    why = verdict["reason"] if verdict else "none fits; the cheapest takes up to 1.4 mJ"
    return {
        "device_id": device["id"],
        "device_type": device["device_type"],
        "allowed": verdict is not None,
        "model": name,
        "top1_pct": top1,
        "verdict": verdict,
        "reason": why,
    }


def _row(model, device_type):
    said = fake_fleet.predicted(model["name"], device_type)
    return {
        "name": model["name"],
        "task": f"{model['labels']} labels",
        "top1_pct": model["top1_pct"],
        "energy_mj": said["energy_mj"],
        "low_mj": said["low_mj"],
        "high_mj": said["high_mj"],
        "latency_ms": said["energy_mj"] / 5,
        "family": "",
        "in_store": True,
        "energy_source": "predicted",
        "latency_source": "implied by the predicted energy",
        "support": said["support"],
    }


ROUTES = [
    ("GET", r"/api/models/pareto", pareto),
    ("GET", r"/api/models/explain", explain),
    ("GET", r"/api/energy/metadata", metadata),
    ("GET", r"/api/ledger", ledger),
    ("POST", r"/api/deploy/best", best),
    ("POST", r"/api/plan", plan),
    ("GET", r"/api/devices/([^/]+)/battery", battery),
]
