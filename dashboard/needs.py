"""Why a device needs a person: each reason once, from its document, its newest deployment and its alerts. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard import words

Document = dict[str, Any]

RECENT_S = 86_400.0
"""How long a deployment that ended badly asks for attention."""

BAD_ENDS = {
    "rollback_failed": 100,
    "rolled_back": 70,
    "failed": 60,
    "timed_out": 55,
    "rejected": 50,
    "refused": 0,
}
AWAY = {"offline": 80, "silent": 75, "never_seen": 30}
NO_DATA = "no data"
_SERIOUS = 75
_RANKS = {"critical": 85, "warning": 50}
_BAD_WORDS = frozenset(words.phase(each) for each in BAD_ENDS)
_GONE = frozenset(words.HEALTH[each] for each in AWAY)
_ABOUT = {
    "offline_s": "offline",
    "silent_s": "silent",
    "temperature_c": "too hot",
    "throttled": "too hot",
    "budget_used_percent": "over budget",
    "dearer_percent": "dearer than it was",
    "deployment_failed": "failed",
    "rollback_failed": "rollback failed",
    "rollout_paused_s": "paused rollout",
}
"""What an alert on a quantity is about, in the word that the rest of this list has for it."""

_BECAUSE: dict[str, frozenset[str]] = {
    "offline": frozenset({"battery empty"}),
    "silent": frozenset({"battery empty"}),
    "battery low": frozenset({"battery empty"}),
    "battery empty": frozenset(),
    "over budget": _GONE | {"too hot"},
    "dearer than it was": _GONE | {"too hot", "over budget"},
    "out of step": _GONE | _BAD_WORDS | {"over budget"},
    "too hot": _GONE,
}
"""What would explain a need where it stands beside it: what a hot board costs is of the heat."""

_ENDED_BECAUSE = {
    "over_budget": frozenset({"over budget", "too hot"}),
    "over_latency": frozenset({"too hot"}),
    "storage_failed": frozenset({"device disk nearly full"}),
}
"""The same of a deployment that ended badly, by the code of its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One reason why something needs a person; `rank` is higher for worse.

    `since` is when it began (Unix s), `age_s` how old the reading is that says so, `because` what would explain it.
    `seen` says who has acknowledged or silenced it: it is counted then, and shouts no more.
    """

    kind: str
    sentence: str
    rank: int
    since: float | None = None
    age_s: float | None = None
    because: frozenset[str] = frozenset()
    deployment_id: str = ""
    alert_id: str = ""
    fired: int = 0
    flaps: bool = False
    seen: str = ""
    about: str = ""

    @property
    def tone(self) -> str:
        """The tone of its label; a health keeps its own."""
        own = {"silent": "odd", "never seen": "mute", NO_DATA: "odd"}
        return own.get(self.kind, "bad" if self.rank >= _SERIOUS else "warn")


def of_device(device: Document, newest: Document | None, alerts: Sequence[Document], now: float) -> list[Need]:
    """Return why a device needs a person, worst first, of its `newest` deployment and its open `alerts`, too."""
    told = [*_told(device, newest, now)]
    return merged(told, alerts, now)


def merged(told: Iterable[Need], alerts: Iterable[Document], now: float) -> list[Need]:
    """Return `told` and what open `alerts` say, each reason once, worst first."""
    found = {need.about: need for need in told}
    by_reason: dict[str, list[Document]] = {}
    for alert in alerts:
        by_reason.setdefault(_reason(alert, found), []).append(alert)
    for about, same in by_reason.items():
        found[about] = _with_alerts(found.get(about), about, same, now)
    return sorted(found.values(), key=lambda need: -need.rank)


def paused(rollout: Document) -> Need:
    """Return what a paused rollout needs: nobody gets the model until a person decides."""
    why = f": {rollout['reason']}" if rollout.get("reason") else ""
    sentence = f"{rollout.get('outcome') or ''}{why}" or "it waits for a person"
    return _need("paused rollout", sentence, 78, since=rollout["since"])


def figures(alert: Document) -> str:
    """Return value against threshold; what the rule says of it where that is a plain yes or no."""
    value, limit, unit = alert["value"], alert["threshold"], alert["unit"]
    if value is None or not unit:
        return str(alert["says"] or alert["condition"])
    if unit == "s":
        return f"for {words.span(value)}, limit {words.span(limit)}"
    kind = f" {alert['kind']}" if alert.get("kind") else ""
    return f"{words.amount(value, unit)}{kind}, limit {words.amount(limit, unit)}"


def _told(device: Document, newest: Document | None, now: float) -> Iterator[Need]:
    health, age_s = device.get("health", ""), device.get("reading_age_s")
    if health in AWAY:
        kind = words.HEALTH[health]
        yield _need(kind, device.get("health_reason") or "", AWAY[health], since=_gone_at(device), age_s=age_s)
    yield from _over_budget(device)
    yield from _ended_badly(newest, now)
    if not device.get("approved", True):
        yield _need("waiting for approval", "it waits for a person to approve it", 40)
    drift = words.out_of_step(device.get("drift"))
    if drift and health == "live" and (newest is None or newest.get("terminal")):
        yield _need("out of step", drift, 45, since=(newest or {}).get("since"))
    fault = (device.get("governor") or {}).get("fault")
    if fault:
        yield _need("saving less than it should", f"its governor cannot do what it wants: {fault}", 45)
    if dearer := device.get("attention"):
        since = min((each["since"] for each in dearer if each.get("since")), default=None)
        yield _need("dearer than it was", "; ".join(each["text"] for each in dearer), 65, since=since, age_s=age_s)
    refused = device.get("refused") or {}
    if sum(refused.values()):
        why = ", ".join(f"{words.phase(reason)} {number}" for reason, number in sorted(refused.items()))
        yield _need("with refused messages", f"messages of it were refused: {why}", 35)


def _need(kind: str, sentence: str, rank: int, **more: Any) -> Need:
    return Need(kind=kind, about=kind, sentence=sentence, rank=rank, **{"because": _BECAUSE.get(kind, _GONE)} | more)


def _gone_at(device: Document) -> float | None:
    """Return since when a device is away: when the broker said so, or when its last reading came."""
    told: float | None = device.get("last_reading_at")
    return device.get("status_at") if device.get("health") == "offline" or told is None else told


def _over_budget(device: Document) -> Iterator[Need]:
    budget, latest = device.get("budget") or {}, device.get("latest") or {}
    spent, limit = budget.get("latest_mj"), budget.get("energy_mj")
    if budget.get("status") != "over_budget":
        return
    average = budget.get("avg_mj")
    lately = spent is not None and limit is not None and spent <= limit and average is not None and average > limit
    spent, on_average = (average, " on average") if lately else (spent, "")
    said = "over its energy budget"
    if spent is not None and limit:
        kind = f" {words.kind_of(budget.get('source')) or ''}".rstrip()
        more = f" (+{spent / limit - 1:.0%})" if spent > limit else ""
        said = f"{words.amount(spent, 'mJ')}{kind}{on_average}, budget {words.amount(limit, 'mJ')}{more}"
    warm = latest.get("temperature_c")
    heat = f"; throttled at {words.figure(warm)} °C" if latest.get("throttled") and warm is not None else ""
    yield _need("over budget", f"{said}{heat}", 90, age_s=device.get("reading_age_s"))


def _ended_badly(newest: Document | None, now: float) -> Iterator[Need]:
    if newest is None:
        return
    ended, rank = newest.get("phase", ""), BAD_ENDS.get(newest.get("phase", ""), 0)
    if not rank or now - (newest.get("since") or 0) > RECENT_S:
        return
    why = f": {newest['reason']}" if newest.get("reason") else ""
    because = _ENDED_BECAUSE.get(newest.get("code") or "", frozenset())
    facts = {"since": newest.get("since"), "deployment_id": newest.get("id", "")}
    yield _need(words.phase(ended), f"{newest.get('model')} {words.phase(ended)}{why}", rank, because=because, **facts)


def _reason(alert: Document, told: Mapping[str, Need]) -> str:
    """Return what an alert is about: what is told already where it is the same, else a word of its own."""
    about: str = _ABOUT.get(alert["quantity"], alert["rule"].replace("-", " "))
    if about in _BAD_WORDS:
        return next((need for need in told if need in _BAD_WORDS), about)
    return about


def _with_alerts(told: Need | None, about: str, alerts: Sequence[Document], now: float) -> Need:
    """Return one need of what is told and of the alerts that say the same; it is quiet when all of them are seen."""
    began = max((need.since for need in (told,) if need and need.deployment_id and need.since), default=0.0)
    seen = [_seen(alert, began, now) for alert in alerts]
    loud = [alert for alert, who in zip(alerts, seen, strict=True) if not who]
    worst = min(loud or alerts, key=lambda alert: (alert["severity"] != "critical", alert["id"]))
    held = worst["state"] == "no_data"
    need = told or _need(about, figures(worst), 0)
    age_s = worst["reading_age_s"] if need.age_s is None or held else need.age_s
    need = replace(
        need,
        rank=max(need.rank, _RANKS.get(worst["severity"], 50)),
        since=need.since if need.since is not None else worst["began_at"] or worst["since"],
        age_s=None if need.deployment_id else age_s,
        alert_id=worst["id"],
        deployment_id=need.deployment_id or worst["deployment_id"] or "",
        fired=worst["fired"],
        flaps=any(alert["flapping"] for alert in alerts),
        seen="" if loud else seen[0],
    )
    if not held:
        return need
    return replace(need, kind=NO_DATA, sentence=f"{about} before: {figures(worst)}; {worst['why']}", because=_GONE)


def _seen(alert: Document, began: float, now: float) -> str:
    """Return who has seen or silenced an alert, nothing for one that nobody has, or not since it `began` anew."""
    ack, silence = alert.get("acknowledged"), alert.get("silenced")
    if ack and ack["at"] >= began:
        return f"seen by {ack['who']}" + (f": {ack['note']}" if ack["note"] else "")
    return f"silenced by {silence['who']}, {words.span(silence['until'] - now)} more" if silence else ""
