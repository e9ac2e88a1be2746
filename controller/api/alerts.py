"""Alerts: what needs somebody, and the rules by which that is found."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StrictBool, StrictFloat

from controller.alerts.preview import preview as look_back
from controller.alerts.quantities import EnergyKind
from controller.alerts.rule import NO_DATA_AFTER_S, Comparison, Rule, Severity
from controller.api.described import RESPONSES
from controller.api.parts import Given, Limit, Offset, Origin

router = APIRouter(prefix="/api/alerts", tags=["alerts"], responses=RESPONSES)

EXACT: ConfigDict = ConfigDict(extra="forbid")
Note = Annotated[str, Field(max_length=500)]
Names = Annotated[tuple[str, ...], Field(max_length=1_000)]


@dataclass(frozen=True, kw_only=True)
class AckBody:
    """What whoever has seen it says of it."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    note: Note = ""


@dataclass(frozen=True, kw_only=True)
class SilenceBody:
    """No notices for `for_s` seconds: of this alert, of its whole `device`, or of its `rule` everywhere."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    for_s: StrictFloat
    why: Note = ""
    reach: Literal["alert", "device", "rule"] = "alert"


@dataclass(frozen=True, kw_only=True)
class NewSilenceBody:
    """No notices for `for_s` seconds: of a device, of a rule, or of that rule on that device."""

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    for_s: StrictFloat
    device_id: str | None = None
    rule: str | None = None
    why: Note = ""


@dataclass(frozen=True, kw_only=True)
class RuleBody:
    """A rule: a `quantity` beyond `threshold` for `for_s` seconds is an alert, which clears below `clear`.

    `GET /api/alerts/rules` lists what can be watched. Devices are those of `device_ids` and those with one of the
    `tags` (`key=value`), narrowed by `device_types`; all when nothing is given. `kinds` says which energies count.
    """

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    quantity: str
    comparison: Comparison
    threshold: StrictFloat
    severity: Severity = "warning"
    for_s: StrictFloat = 0.0
    clear: StrictFloat | None = None
    clear_for_s: StrictFloat = 0.0
    no_data_after_s: StrictFloat = NO_DATA_AFTER_S
    device_ids: Names = ()
    tags: Names = ()
    device_types: Names = ()
    kinds: tuple[EnergyKind, ...] = ()
    says: str = ""
    advice: str = ""
    runbook: str = ""
    enabled: StrictBool = True


@dataclass(frozen=True, kw_only=True)
class PreviewBody(RuleBody):
    """A rule, and how far to look back."""

    days: Annotated[StrictFloat, Field(gt=0, le=31)] = 7.0


@router.get("")
async def list_alerts(
    parts: Given,
    *,
    view: str = "open",
    state: str = "",
    severity: str = "",
    device_id: str = "",
    rule: str = "",
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List alerts, worst first.

    `view` is open, acknowledged, silenced, pending, no_data, resolved or all; one that flaps is one entry.
    """
    now, wanted = parts.clock(), {"state": state, "severity": severity, "device_id": device_id, "rule": rule}
    shown = "all" if state else view
    total, found = parts.alerts.page(now, shown, limit, offset, **wanted)
    counts = parts.alerts.counts(now)
    return {"success": True, "as_of": now, "total": total, "counts": counts, "alerts": found}


@router.post("/{alert_id}/ack")
async def acknowledge(parts: Given, origin: Origin, alert_id: str, body: AckBody | None = None) -> dict[str, Any]:
    """Say that somebody has seen an open alert; it stays open until a reading says that it is over."""
    note = body.note if body else ""
    return {"success": True, "alert": parts.alerts.acknowledge(alert_id, note, origin, parts.clock())}


@router.post("/{alert_id}/silence")
async def silence_alert(parts: Given, origin: Origin, alert_id: str, body: SilenceBody) -> dict[str, Any]:
    """Send no notices of it for a while; it runs on, and what is still open then is told."""
    now, alert = parts.clock(), parts.alerts.known(alert_id)
    device_id = None if body.reach == "rule" else alert.subject
    rule = None if body.reach == "device" else alert.rule
    made = parts.alerts.silence(device_id=device_id, rule=rule, for_s=body.for_s, why=body.why, who=origin, at=now)
    return {"success": True, "silence": asdict(made), "alert": parts.alerts.document(alert, now)}


@router.get("/silences")
async def list_silences(parts: Given) -> dict[str, Any]:
    """List what is silenced now, the first to end first."""
    now = parts.clock()
    return {"success": True, "as_of": now, "silences": [asdict(each) for each in parts.alerts.silences(now)]}


@router.post("/silences")
async def silence(parts: Given, origin: Origin, body: NewSilenceBody) -> dict[str, Any]:
    """Silence a device, a rule, or that rule on that device, also before anything fires."""
    made = parts.alerts.silence(
        device_id=body.device_id, rule=body.rule, for_s=body.for_s, why=body.why, who=origin, at=parts.clock()
    )
    return {"success": True, "silence": asdict(made)}


@router.delete("/silences/{silence_id}")
async def unsilence(parts: Given, origin: Origin, silence_id: str) -> dict[str, Any]:
    """End a silence; what is open then is told."""
    return {"success": True, "silence": asdict(parts.alerts.unsilence(silence_id, origin, parts.clock()))}


@router.get("/rules")
async def list_rules(parts: Given) -> dict[str, Any]:
    """List every rule with on how many subjects it stands how, and what can be watched."""
    return {"success": True, "rules": parts.alerts.rules(), "quantities": parts.alerts.quantities()}


@router.post("/rules/preview")
async def preview(parts: Given, body: PreviewBody) -> dict[str, Any]:
    """Say how often a rule would have fired by the readings that are kept; nothing is changed."""
    asked = asdict(body)
    days = asked.pop("days")
    rule = Rule(name="preview", **asked)
    return {"success": True, "days": days} | await look_back(parts.service.store, rule, days=days, at=parts.clock())


@router.get("/rules/{name}")
async def show_rule(parts: Given, name: str) -> dict[str, Any]:
    """Return one rule."""
    return {"success": True, "rule": parts.alerts.rule(name)}


@router.put("/rules/{name}")
async def put_rule(parts: Given, origin: Origin, name: str, body: RuleBody) -> dict[str, Any]:
    """Make a rule, or replace one, ours too; `enabled: false` switches it off."""
    rule = Rule(name=name, **asdict(body))
    return {"success": True, "rule": parts.alerts.put_rule(rule, origin, parts.clock())}


@router.delete("/rules/{name}")
async def remove_rule(parts: Given, origin: Origin, name: str) -> dict[str, Any]:
    """Remove a rule; one of ours is as it comes again. 409 for one of ours that nobody changed."""
    before = parts.alerts.rule(name)
    return {"success": True, "removed": before, "rule": parts.alerts.remove_rule(name, origin, parts.clock())}
