"""Who needs a person now: one case per device, led by the need that explains the others. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard import needs, words
from dashboard.needs import Need

Document = dict[str, Any]

ITSELF = "EdgeWatt itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A device that needs a person; or, on another `page`, what has the id `aim` there.

    Its first need explains the `explained` ones that come next; the others have nothing to do with it. `seen` are
    those that somebody has acknowledged or silenced: counted, and no reason to be in the list.
    """

    device_id: str
    health: str
    needs: tuple[Need, ...]
    explained: int = 0
    seen: tuple[Need, ...] = ()
    page: str = "device"
    aim: str = ""

    @property
    def rank(self) -> int:
        """How bad it is, by its worst need."""
        return max((need.rank for need in self.needs), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The fleet in two sentences; `tone` is good, warn or mute."""

    title: str
    detail: str
    tone: str


def attention(
    devices: Iterable[Document],
    deployments: Iterable[Document],
    now: float,
    *,
    alerts: Iterable[Document] = (),
    rollouts: Iterable[Document] = (),
) -> list[Case]:
    """Return who needs a person, worst first, then those of whom somebody has seen all there is.

    `deployments` are newest first, `alerts` those that are open, whatever people said of them, `rollouts` the paused.
    """
    newest: dict[str, Document] = {}
    for deployment in deployments:
        newest.setdefault(deployment["device_id"], deployment)
    of_subject: dict[tuple[str, str], list[Document]] = {}
    for alert in alerts:
        of_subject.setdefault((alert["scope"], alert["subject"]), []).append(alert)
    cases = []
    for device in devices:
        name = device["id"]
        found = needs.of_device(device, newest.get(name), of_subject.pop(("device", name), ()), now)
        cases.append(case(found, device_id=name, health=device.get("health", "")))
    for rollout in rollouts:
        told = [needs.paused(rollout)] if rollout.get("phase") == "paused" else []
        found = needs.merged(told, of_subject.pop(("rollout", rollout["id"]), ()), now)
        cases.append(case(found, device_id=rollout["model"], page="rollouts", aim=rollout["id"]))
    cases += [_of_alerts(scope, subject, found, now) for (scope, subject), found in of_subject.items()]
    asking = [each for each in cases if each.needs or each.seen]
    return sorted(asking, key=lambda each: (-each.rank, each.device_id))


def case(found: Sequence[Need], **whose: Any) -> Case:
    """Return the case of these needs, led by the one that explains the worst of them."""
    loud = [need for need in found if not need.seen]
    seen = tuple(need for need in found if need.seen)
    if not loud:
        return Case(needs=(), seen=seen, **{"health": ""} | whose)
    root = explanation(loud)
    kinds, explained = {root.about}, list[Need]()
    rest = [need for need in loud if need is not root]
    while more := [need for need in rest if need.because & kinds]:
        explained += more
        kinds |= {need.about for need in more}
        rest = [need for need in rest if need not in more]
    return Case(needs=(root, *explained, *rest), explained=len(explained), seen=seen, **{"health": ""} | whose)


def explanation(found: Sequence[Need]) -> Need:
    """Return what explains the worst of these needs, and is not explained itself by another."""
    root = max(found, key=lambda need: need.rank)
    passed = {root.about}
    while above := [need for need in found if need.about in root.because - passed]:
        root = max(above, key=lambda need: need.rank)
        passed.add(root.about)
    return root


def asking(cases: Iterable[Case]) -> list[Case]:
    """Return the cases that nobody has seen yet."""
    return [each for each in cases if each.needs]


def kinds(cases: Iterable[Case]) -> Counter[str]:
    """Return how many need a person for which first reason, the most common first."""
    return Counter(dict(Counter(each.needs[0].kind for each in asking(cases)).most_common()))


def headline(total: int, cases: Sequence[Case], healths: Mapping[str, int] | None = None) -> Headline:
    """Say in two sentences what needs a person now; `healths` counts the devices by health."""
    if total == 0:
        return Headline(title="No devices yet", detail="A device registers itself when its agent starts.", tone="mute")
    loud = asking(cases)
    if not loud:
        return Headline(title="Nothing needs you now", detail=_calm(total, len(cases), healths or {}), tone="good")
    if len(loud) == 1:
        only = loud[0]
        said = list(dict.fromkeys(need.kind for need in only.needs))
        return Headline(
            title=_asks(total, loud), detail=f"{words.short(only.device_id)}: {', '.join(said)}.", tone="warn"
        )
    detail = ", ".join(f"{number:,} {kind}" for kind, number in kinds(loud).items())
    return Headline(title=_asks(total, loud), detail=f"{detail[:1].upper()}{detail[1:]}.", tone="warn")


def _calm(total: int, seen: int, healths: Mapping[str, int]) -> str:
    if seen:
        return f"Somebody has seen what is wrong with {seen:,} of them; it is not over yet."
    each = "The device is" if total == 1 else f"All {total:,} devices are"
    found = [(name, healths.get(name, 0)) for name in ("late", "asleep") if healths.get(name)]
    how = ["live"] if sum(number for _, number in found) < total else []
    how += [f"{name} ({number:,})" if how or len(found) > 1 else name for name, number in found]
    return f"{each} {' or '.join(how)}, in step and within budget."


def _asks(total: int, cases: Sequence[Case]) -> str:
    """Return how many devices need a person; what else does where no device does."""
    devices = sum(each.page == "device" for each in cases)
    if devices:
        return f"{devices:,} of {words.count(total, 'device')} {'needs' if devices == 1 else 'need'} you"
    rollouts = sum(each.page == "rollouts" for each in cases)
    if not rollouts:
        return f"{ITSELF} needs you"
    return f"{words.count(rollouts, 'rollout')} {'waits' if rollouts == 1 else 'wait'} for you"


def _of_alerts(scope: str, subject: str, alerts: Sequence[Document], now: float) -> Case:
    """Return the case of a subject of which nothing but alerts is known here."""
    found = needs.merged((), alerts, now)
    if scope == "device":
        return case(found, device_id=subject)
    if scope == "rollout":
        return case(found, device_id="a rollout", page="rollouts", aim=subject)
    return case(found, device_id=ITSELF, page="alerts")
