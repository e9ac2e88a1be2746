"""Judges a run by what was given, what devices wrote down and what the controller's store says; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broker.phases import DEVICE_OWNED, TERMINAL, Phase
from controller.deployment import Deployment
from controller.torture.book import REST, Given

ENDED = frozenset(phase.value for phase in TERMINAL)
KINDS = ("lost", "doubled", "stuck", "bricked")
DEVICES_WORD = frozenset({Phase.SUCCEEDED, Phase.ROLLED_BACK, Phase.ROLLBACK_FAILED})
"""Ends that only a device can reach."""

OUR_WORD = frozenset({Phase.SUPERSEDED, Phase.CANCELLED})
"""Ends that the controller may give a deployment that a device has just finished."""

EARLIER = "~"
"""Marks in the store an earlier life of words that a person typed once more; the journal has the newest."""

Found = Mapping[str, Any]
"""What the audit says of one device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How many commands there were, and of each kind of fault its sentences."""

    trials: int
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def summary(self) -> dict[str, int]:
        """The last line of a run."""
        return {"trials": self.trials, **{kind: len(self.faults.get(kind, ())) for kind in KINDS}}

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not any(self.faults.values())


def judge(
    given: Iterable[Given],
    found: Iterable[Found],
    deployments: Iterable[Deployment],
    orders: Iterable[Mapping[str, Any]],
) -> Verdict:
    """Return what was lost, applied twice, left open, or left without a working model."""
    commands, devices = list(given), {each["device_id"]: each for each in found}
    stored = {(each.device_id, each.command_id): each for each in deployments}
    ordered = {(each["device_id"], each["id"]): each for each in orders}
    lost = [
        *(said for each in commands if (said := _lost(each, devices, stored, ordered))),
        *(said for each in stored.values() if EARLIER not in each.command_id and (said := _differs(each, devices))),
    ]
    return Verdict(
        trials=len(commands),
        faults={
            "lost": tuple(lost),
            "doubled": tuple(f"{name}: {said}" for name, each in devices.items() for said in each["doubled"]),
            "stuck": tuple(_stuck(devices, stored.values(), ordered.values())),
            "bricked": tuple(f"{name}: {each['faulty']}" for name, each in devices.items() if each["faulty"]),
        },
    )


def _lost(
    each: Given, devices: Mapping[str, Found], stored: Mapping[Any, Any], ordered: Mapping[Any, Any]
) -> str | None:
    """Return what became of a command that nobody knows of any more."""
    key = each.device_id, each.id
    if each.way == REST:
        return None if key in stored or key in ordered else f"{each.op} {each.id}: the controller forgot it"
    there = devices.get(each.device_id, {}).get("commands", {})
    return None if each.id in there else f"{each.op} {each.id} typed to {each.device_id}: it is in no journal"


def _differs(each: Deployment, devices: Mapping[str, Found]) -> str | None:
    """Return how the store and the device disagree about a deployment that ended."""
    there = devices.get(each.device_id, {}).get("commands", {}).get(each.command_id)
    if not each.terminal or there is None:
        ends_there = each.phase in DEVICES_WORD
        return f"{each.id}: {each.phase.value} in the store, in no journal" if ends_there else None
    if each.phase.value == there or (each.phase not in DEVICES_WORD and there not in DEVICES_WORD):
        return None
    if each.phase in OUR_WORD:
        return None  # we ended it while its end was on the way to us
    return f"{each.id}: {each.phase.value} in the store, {there} on {each.device_id}"


def _stuck(
    devices: Mapping[str, Found], deployments: Iterable[Deployment], orders: Iterable[Mapping[str, Any]]
) -> Iterable[str]:
    for name, found in devices.items():
        yield from (f"{name}: {said}" for said in found["stuck"])
    for each in deployments:
        if not each.terminal:
            owner = "device" if each.phase in DEVICE_OWNED else "controller"
            yield f"{each.id}: {each.phase.value} in the store, the {owner}'s to move ({each.reason or 'no reason'})"
    for order in orders:
        if order["phase"] not in ENDED:
            state = order["phase"] or "never answered"
            yield f"{order['op']} {order['id']} to {order['device_id']}: {state} in the store"
