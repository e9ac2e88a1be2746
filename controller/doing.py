"""Says in words what a device does now beyond its figures: which inputs come in, and what it answered. Pure."""

from typing import Any


def serves(reading: dict[str, Any] | None) -> str | None:
    """Return what the newest reading tells of inputs; None where a model runs its own samples."""
    inputs = (reading or {}).get("inputs")
    if not inputs:
        return None
    if inputs.get("fault"):
        return f"{inputs['source']}: {inputs['fault']}"
    named = [f"{label} {number}" for label, number in (inputs.get("answers") or {}).items()]
    named += [f"other {inputs['other_answers']}"] if inputs.get("other_answers") else []
    refused = [f"{inputs['refused']} refused"] if inputs.get("refused") else []
    return f"{inputs['source']}: {', '.join([*named, *refused]) or 'nothing came in'}"
