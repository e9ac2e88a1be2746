"""What a person asks for when a rollout is made: the model, for whom, on which terms, in which waves; pure."""

import math
from dataclasses import dataclass, field
from typing import Any

from broker.commands import Conditions
from broker.conditions import check_terms, window_of
from broker.errors import InvalidError
from controller.gate import Policy
from controller.rollouts.state import DEADLINE_S, WINDOWED_DEADLINE_S, Rules
from controller.rollouts.waves import DEFAULT, Step
from controller.rollouts.waves import check as check_waves
from controller.storage.store import Row

MOST_DEADLINE_S = 90 * 86_400.0
_PERCENT = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Devices by id and those with one of the `tags` (`key=value`); `device_types` narrows, or selects by itself."""

    device_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    device_types: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a tag that is none."""
        for tag in self.tags:
            if not all(tag.partition("=")):
                raise InvalidError(f"'{tag[:40]}' is no tag", hint="write key=value", field="tags")

    def matches(self, device_id: str, info: Row) -> bool:
        """Return whether a device is meant, by its id and what it says of itself."""
        if self.device_types and info.get("device_type") not in self.device_types:
            return False
        if not self.device_ids and not self.tags:
            return bool(self.device_types)
        tags = info.get("tags") or {}
        tagged = any(tags.get(tag.partition("=")[0]) == tag.partition("=")[2] for tag in self.tags)
        return tagged or device_id in self.device_ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What each device is held to, as a single deployment is: budgets, conditions, an override with its reason."""

    budget_mj: float | None = None
    policy: Policy = "strict"
    force: bool = False
    reason: str = ""
    latency_ms: float | None = None
    when: Conditions | None = None
    soak_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse an override without its reason, and what no device could keep or wait for."""
        if self.force and not self.reason.strip():
            raise InvalidError("an override needs a reason", hint="say why in `reason`; it is stored", field="reason")
        check_terms(latency_ms=self.latency_ms, when=self.when, soak_s=self.soak_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A rollout as it was asked for; `retry_of` names the one whose failed devices try again."""

    model: str
    selection: Selection
    terms: Terms = field(default_factory=Terms)
    waves: tuple[Step, ...] = DEFAULT
    rules: Rules = field(default_factory=Rules)
    only_fitting: bool = False
    deadline_s: float | None = None
    retry_of: str | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no sense, naming the field. Raises InvalidError."""
        if not self.model.strip():
            raise InvalidError("model_name is empty", hint="`edgewatt models list` shows what there is")
        check_waves(self.waves)
        check_rules(self.rules)
        _require("deadline_s", self.deadline_s, 1.0, MOST_DEADLINE_S)

    @property
    def within_s(self) -> float:
        """How long the rollout may take in all, from when it may begin."""
        if self.deadline_s is not None:
            return self.deadline_s
        return WINDOWED_DEADLINE_S if self.rules.window else DEADLINE_S


def check_rules(rules: Rules) -> None:
    """Raise InvalidError for rules that no rollout could keep."""
    _require("failure_percent", rules.failure_percent, 0.0, _PERCENT)
    _require("success_percent", rules.success_percent, 0.0, _PERCENT)
    _require("fewest_judged", rules.fewest_judged, 1, math.inf)
    _require("at_once", rules.at_once, 1, math.inf)
    _require("bytes_per_s", rules.bytes_per_s, 1.0, math.inf)
    _require("soak_s", rules.soak_s, 0.0, MOST_DEADLINE_S)
    _require("not_before", rules.not_before, 0.0, math.inf)
    if rules.window is not None:
        window_of(rules.window)


def _require(name: str, value: Any, least: float, most: float) -> None:
    if value is not None and not least <= value <= most:
        reach = f"at least {least:g}" if most == math.inf else f"{least:g} to {most:g}"
        raise InvalidError(f"{name} must be {reach}, not {value:g}", hint="leave it out for the default", field=name)
