"""Rows of the fleet as REST tells them, for what the dashboard makes of them."""


def device(device_id="d", **changes):
    """Return a device that is well: it runs what it should, within its budget and as predicted."""
    base = {
        "id": device_id,
        "health": "live",
        "health_reason": "reading 2 s old",
        "reading_age_s": 2.0,
        "active": {"model": "m"},
        "desired": {"model": "m"},
        "drift": "in step",
        "budget": {"energy_mj": 10.0, "latest_mj": 8.0, "status": "ok", "source": "ina3221"},
        "latest": {"energy": {"energy_mj": 8.0, "source": "ina3221"}},
        "predicted": {"energy_mj": 8.0, "low_mj": 7.0, "high_mj": 9.0},
    }
    return base | changes
