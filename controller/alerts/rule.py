"""What is watched and when that is an alert: a rule, checked so that it makes sense; pure."""

import math
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from broker.errors import InvalidError
from controller.alerts.quantities import QUANTITIES, EnergyKind, Facts, Quantity, Reading
from controller.rollouts.request import Selection

Severity = Literal["warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
Comparison = Literal[">", ">=", "<", "<="]
COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
LONGEST_S = 7 * 86_400.0
LONGEST_TEXT = 400
NO_DATA_AFTER_S = 300.0
"""As old as a reading may be to speak of now: then a device is not even `late` any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A `quantity` beyond its `threshold` for `for_s` seconds is an alert.

    It clears below `clear` (the threshold itself when there is none) for `clear_for_s`. Devices are those of
    `device_ids` and those with one of the `tags`, narrowed by `device_types`; all when nothing is given. Of energies,
    `kinds` says which count. A reading older than `no_data_after_s` says nothing of now.
    """

    name: str
    quantity: str
    comparison: Comparison
    threshold: float
    severity: Severity = "warning"
    for_s: float = 0.0
    clear: float | None = None
    clear_for_s: float = 0.0
    no_data_after_s: float = NO_DATA_AFTER_S
    device_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    device_types: tuple[str, ...] = ()
    kinds: tuple[EnergyKind, ...] = ()
    says: str = ""
    advice: str = ""
    runbook: str = ""
    enabled: bool = True

    def __post_init__(self) -> None:
        """Refuse what makes no sense, naming the field. Raises InvalidError."""
        if not NAME.fullmatch(self.name):
            _refuse("name", f"'{self.name[:60]}' is no name of a rule", "small letters, digits and hyphens, 48 at most")
        if self.quantity not in QUANTITIES:
            hint = f"one of {', '.join(QUANTITIES)}"
            _refuse("quantity", f"nothing called '{self.quantity[:40]}' is watched", hint)
        if self.comparison not in COMPARISONS:
            _refuse("comparison", f"'{str(self.comparison)[:8]}' does not compare", f"one of {' '.join(COMPARISONS)}")
        if self.severity not in SEVERITIES:
            _refuse("severity", f"'{str(self.severity)[:40]}' is no severity", f"one of {', '.join(SEVERITIES)}")
        for name in ("threshold", "clear"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                _refuse(name, f"{name} {value} is no figure", "give a number")
        if self.clear is not None and self.clear != self.threshold and self.breached(self.clear):
            side = "below" if self.comparison.startswith(">") else "above"
            _refuse("clear", f"an alert could not clear at {self.clear:g}", f"a value {side} {self.threshold:g}")
        for name, least in (("for_s", 0.0), ("clear_for_s", 0.0), ("no_data_after_s", 1.0)):
            if not least <= getattr(self, name) <= LONGEST_S:
                _refuse(name, f"{name} must be {least:g} to {LONGEST_S:g}", "seconds, a week at most")
        self._check_reach()
        self._check_texts()

    @property
    def watched(self) -> Quantity:
        """What is watched."""
        return QUANTITIES[self.quantity]

    @property
    def selection(self) -> Selection | None:
        """Which devices are meant; None for all."""
        if not (self.device_ids or self.tags or self.device_types):
            return None
        return Selection(device_ids=self.device_ids, tags=self.tags, device_types=self.device_types)

    def watches(self, device_id: str, info: dict[str, Any]) -> bool:
        """Return whether a device is meant, by its id and what it says of itself."""
        selection = self.selection
        return selection is None or selection.matches(device_id, info)

    def read(self, facts: Facts) -> Reading | None:
        """Return the newest reading of a device that counts."""
        found = self.watched.read(facts)
        return None if found is None or (self.kinds and found.kind not in self.kinds) else found

    def breached(self, value: float) -> bool:
        """Return whether `value` is beyond the threshold."""
        match self.comparison:
            case ">":
                return value > self.threshold
            case ">=":
                return value >= self.threshold
            case "<":
                return value < self.threshold
            case _:
                return value <= self.threshold

    def cleared(self, value: float) -> bool:
        """Return whether `value` is far enough from the threshold for an alert to end."""
        if self.clear is None:
            return not self.breached(value)
        high = self.comparison.startswith(">")
        return not self.breached(value) and (value <= self.clear if high else value >= self.clear)

    @property
    def condition(self) -> str:
        """The condition in words, such as `temperature_c ≥ 80 °C for 60 s`."""
        unit = f" {self.watched.unit}" if self.watched.unit else ""
        sign = {">=": "≥", "<=": "≤"}.get(self.comparison, self.comparison)
        for_s = f" for {self.for_s:g} s" if self.for_s else ""
        return f"{self.quantity} {sign} {self.threshold:g}{unit}{for_s}"

    def _check_reach(self) -> None:
        watched = self.watched
        if watched.scope != "device" and self.selection is not None:
            field = next(name for name in ("device_ids", "tags", "device_types") if getattr(self, name))
            _refuse(field, f"{self.quantity} is not of a device", f"it is of the {watched.scope}: leave this out")
        if self.kinds and not watched.is_energy:
            _refuse("kinds", f"{self.quantity} is no energy", "only energies have a kind: leave this out")
        wrong = [kind for kind in self.kinds if kind not in get_args(EnergyKind)]
        if wrong:
            _refuse("kinds", f"'{wrong[0][:40]}' is no kind of energy", f"of {', '.join(get_args(EnergyKind))}")
        if self.selection is not None and max(map(len, (self.device_ids, self.tags, self.device_types))) > MOST_NAMED:
            _refuse("device_ids", f"more than {MOST_NAMED} are named", "select by tag or board")

    def _check_texts(self) -> None:
        for name in ("says", "advice", "runbook"):
            if len(getattr(self, name)) > LONGEST_TEXT:
                _refuse(name, f"{name} is longer than {LONGEST_TEXT} characters", "say it shorter")
        if self.runbook and urlsplit(self.runbook).scheme not in ("", "http", "https"):
            _refuse("runbook", f"'{self.runbook[:60]}' is no link", "https://…, or a path")


MOST_NAMED = 1_000


def _refuse(field: str, message: str, hint: str) -> None:
    raise InvalidError(message, hint=hint, field=field)
