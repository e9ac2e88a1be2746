"""Says in words what a device does now beyond its figures: the inputs it serves, and how it saves power. Pure."""

from typing import Any

Document = dict[str, Any]


def serves(reading: Document | None) -> str | None:
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


def runs(state: Document) -> str | None:
    """Return the name of the model that runs: the one that the governor chose, or the active one."""
    active, governor = state.get("active") or {}, state.get("governor") or {}
    return (governor.get("runs") if active else None) or active.get("model")


def governed(state: Document) -> str | None:
    """Return what the governor changes now, and how long; None where it changes nothing."""
    governor, active = state.get("governor") or {}, state.get("active") or {}
    rung, running = governor.get("rung"), runs(state)
    other = f"runs {running}" if running != active.get("model") else None
    if not rung:
        return f"still {other}" if other else None
    wanted = governor.get("model")
    later = f"wants {wanted}" if wanted not in (None, running) else None
    what = " ".join(word for word in (other or later, f"at {_rate(governor)}") if word)
    return f"{what} while {governor.get('condition') or 'nothing better is known'}{_fault(governor)}"


def stepped(device_id: str, before: Document | None, after: Document | None) -> str | None:
    """Return the sentence for a step between two states of a governor; None where there was none."""
    if after is None:
        return f"{device_id} has no governor any more" if before else None
    news = (after["rung"], after["of"], after["since"])
    if before is not None and news == (before["rung"], before["of"], before["since"]):
        fault = after.get("fault")
        return f"{device_id} stays as it is: {fault}" if fault and fault != before.get("fault") else None
    if after["rung"]:
        model = f"{after['model']} at " if after.get("model") else ""
        return f"{device_id} stepped to {model}{_rate(after)}: {after.get('reason')}"
    if before is not None and before["rung"] and after.get("reason"):
        return f"{device_id} stepped back to {_rate(after)}: {after['reason']}"
    return f"{device_id} has a governor of {after['of']} rung{'' if after['of'] == 1 else 's'}"


def _rate(governor: Document) -> str:
    return f"{governor['rate']:g}/s"


def _fault(governor: Document) -> str:
    return f"; {governor['fault']}" if governor.get("fault") else ""
