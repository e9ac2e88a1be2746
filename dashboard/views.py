"""What the fleet's documents mean: who needs a person, and why. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import words

Document = dict[str, Any]

HEALTHS = ("live", "late", "silent", "asleep", "offline", "never_seen")
RECENT_S = 86_400.0
"""How long a deployment that ended badly asks for attention."""

_BAD_ENDS = {
    "rollback_failed": 100,
    "rolled_back": 70,
    "failed": 60,
    "timed_out": 55,
    "rejected": 50,
    "refused": 0,
}
_SERIOUS = 75
_AWAY = {"offline": 80, "silent": 75, "never_seen": 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One reason why a device needs a person; `rank` is higher for worse."""

    kind: str
    sentence: str
    rank: int
    deployment_id: str = ""

    @property
    def tone(self) -> str:
        """The tone of its label; a health keeps its own."""
        return {"silent": "odd", "never seen": "mute"}.get(self.kind, "bad" if self.rank >= _SERIOUS else "warn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A device that needs a person, its needs worst first; or, on another `page`, what has the id `aim` there."""

    device_id: str
    health: str
    needs: tuple[Need, ...]
    page: str = "device"
    aim: str = ""

    @property
    def rank(self) -> int:
        """How bad it is, by its worst need."""
        return self.needs[0].rank


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The fleet in two sentences; `tone` is good, warn or mute."""

    title: str
    detail: str
    tone: str


def attention(
    devices: Iterable[Document], deployments: Iterable[Document], now: float, more: Iterable[Case] = ()
) -> list[Case]:
    """Return the devices that need a person and what else does, worst first; `deployments` are newest first."""
    newest: dict[str, Document] = {}
    for deployment in deployments:
        newest.setdefault(deployment["device_id"], deployment)
    cases = list(more)
    for device in devices:
        needs = sorted(_needs(device, newest.get(device["id"]), now), key=lambda need: -need.rank)
        if needs:
            cases.append(Case(device_id=device["id"], health=device.get("health", ""), needs=tuple(needs)))
    return sorted(cases, key=lambda case: (-case.rank, case.device_id))


def stalled(rollouts: Iterable[Document], now: float) -> list[Case]:
    """Return the paused rollouts: nobody gets the model until a person decides."""
    return [
        Case(
            device_id=each["model"],
            health="",
            needs=(_paused(each, now),),
            page="rollouts",
            aim=each["id"],
        )
        for each in rollouts
        if each.get("phase") == "paused"
    ]


def kinds(cases: Iterable[Case]) -> Counter[str]:
    """Return how many need a person for which worst reason, the most common first."""
    return Counter(dict(Counter(case.needs[0].kind for case in cases).most_common()))


def headline(total: int, cases: Sequence[Case], asleep: int = 0) -> Headline:
    """Say in two sentences what needs a person now; `asleep` of the devices sleep on purpose."""
    if total == 0:
        return Headline(title="No devices yet", detail="A device registers itself when its agent starts.", tone="mute")
    if not cases:
        each = "The device is" if total == 1 else f"All {total:,} devices are"
        how = "live" if not asleep else "asleep" if asleep == total else f"live or asleep ({asleep:,})"
        return Headline(title="Nothing needs you now", detail=f"{each} {how}, in step and within budget.", tone="good")
    detail = ", ".join(f"{number:,} {kind}" for kind, number in kinds(cases).items())
    devices = sum(case.page == "device" for case in cases)
    verb = "needs" if devices == 1 else "need"
    title = f"{devices:,} of {words.count(total, 'device')} {verb} you" if devices else _others(cases)
    return Headline(title=title, detail=f"{detail[:1].upper()}{detail[1:]}.", tone="warn")


def counts(devices: Document) -> list[tuple[str, int]]:
    """Return how many devices have each health, in the order of the words."""
    return [(health, int(devices.get(health) or 0)) for health in HEALTHS]


def known_tags(devices: Iterable[Document]) -> list[str]:
    """Return every `key=value` that some device carries."""
    return sorted({tag for device in devices for tag in words.tags(device.get("tags"))})


def refused_messages(messages: Document) -> int:
    """Return how many messages the controller could not accept."""
    return sum(int(count) for count in (messages.get("refused") or {}).values())


def energy(device: Document) -> tuple[float | None, words.Kind | None]:
    """Return the newest energy of one inference, mJ, and what kind of number it is."""
    told = (device.get("latest") or {}).get("energy") or {}
    budget = device.get("budget") or {}
    if told.get("energy_mj") is not None:
        return told["energy_mj"], words.kind_of(told.get("source"))
    return budget.get("latest_mj"), words.kind_of(budget.get("source"))


def model(device: Document) -> str:
    """Return the name of the running model, or nothing."""
    return str(device.get("runs") or (device.get("active") or {}).get("model") or "")


def predicted(device: Document) -> Document:
    """Return the prediction for the model that runs; one made for another model says nothing of it."""
    wanted = (device.get("desired") or {}).get("model")
    return device.get("predicted") or {} if wanted and wanted == model(device) else {}


def agreement(device: Document) -> str:
    """Say in words whether the newest energy lies within the prediction."""
    value, kind = energy(device)
    said = predicted(device)
    low, high = said.get("low_mj"), said.get("high_mj")
    now = "" if value is None else f"{kind or 'reported'} {words.amount(value, 'mJ')}"
    if low is None or high is None:
        return f"no prediction; {now}" if now else "no prediction, and no figure from the device"
    before = f"predicted {words.interval(low, high)}"
    if value is None:
        return f"{before}, nothing from the device yet"
    if low <= value <= high:
        return f"{before}, {now}: inside"
    bound = high if value > high else low
    side = "above" if value > high else "below"
    return f"{before}, {now}: {abs(value / bound - 1):.0%} {side}" if bound else f"{before}, {now}: {side}"


def _others(cases: Sequence[Case]) -> str:
    return f"{words.count(len(cases), 'rollout')} {'waits' if len(cases) == 1 else 'wait'} for you"


def _paused(rollout: Document, now: float) -> Need:
    why = f": {rollout['reason']}" if rollout.get("reason") else ""
    sentence = f"its rollout is paused since {words.span(now - rollout['since'])}, {rollout.get('outcome') or ''}{why}"
    return Need(kind="paused rollout", sentence=sentence, rank=78)


def _needs(device: Document, newest: Document | None, now: float) -> Iterable[Need]:
    health = device.get("health", "")
    if health in _AWAY:
        yield Need(kind=words.HEALTH[health], sentence=device.get("health_reason") or "", rank=_AWAY[health])
    yield from _over_budget(device)
    yield from _ended_badly(newest, now)
    if not device.get("approved", True):
        yield Need(kind="waiting for approval", sentence="it waits for a person to approve it", rank=40)
    drift = words.out_of_step(device.get("drift"))
    if drift and health == "live" and (newest is None or newest.get("terminal")):
        yield Need(kind="out of step", sentence=drift, rank=45)
    fault = (device.get("governor") or {}).get("fault")
    if fault:
        yield Need(
            kind="saving less than it should", sentence=f"its governor cannot do what it wants: {fault}", rank=45
        )
    for each in device.get("attention") or ():
        yield Need(kind="dearer than it was", sentence=each["text"], rank=65)
    refused = device.get("refused") or {}
    if sum(refused.values()):
        why = ", ".join(f"{words.phase(reason)} {number}" for reason, number in sorted(refused.items()))
        yield Need(kind="with refused messages", sentence=f"messages of it were refused: {why}", rank=35)


def _over_budget(device: Document) -> Iterable[Need]:
    budget = device.get("budget") or {}
    spent, limit = budget.get("latest_mj"), budget.get("energy_mj")
    if budget.get("status") != "over_budget":
        return
    average = budget.get("avg_mj")
    lately = spent is not None and limit is not None and spent <= limit and average is not None and average > limit
    spent, on_average = (average, " on average") if lately else (spent, "")
    figures = ""
    if spent is not None and limit:
        kind = words.kind_of(budget.get("source"))
        more = f" (+{spent / limit - 1:.0%})" if spent > limit else ""
        figures = f": {words.amount(spent, 'mJ')} {kind or ''}{on_average}, allowed {words.amount(limit, 'mJ')}{more}"
    hot = (device.get("latest") or {}).get("throttled")
    warm = (device.get("latest") or {}).get("temperature_c")
    heat = f"; throttled at {words.figure(warm)} °C" if hot and warm is not None else ""
    yield Need(kind="over budget", sentence=f"over its energy budget{figures}{heat}", rank=90)


def _ended_badly(newest: Document | None, now: float) -> Iterable[Need]:
    if newest is None:
        return
    ended, rank = newest.get("phase", ""), _BAD_ENDS.get(newest.get("phase", ""), 0)
    if not rank or now - (newest.get("since") or 0) > RECENT_S:
        return
    why = f": {newest['reason']}" if newest.get("reason") else ""
    sentence = f"{newest.get('model')} {words.phase(ended)} {words.since(newest.get('since'), now)}{why}"
    yield Need(kind=words.phase(ended), sentence=sentence, rank=rank, deployment_id=newest.get("id", ""))
