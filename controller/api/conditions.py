"""The conditions of a deployment as REST takes them: what is misspelt there is refused, not left out."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict, StrictBool, StrictFloat

from broker.commands import Conditions


@dataclass(frozen=True, kw_only=True)
class WhenBody:
    """When the device may begin: battery in %, whether it charges, temperature in °C, a window of its local time."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    soc_min_pct: StrictFloat | None = None
    charging: StrictBool | None = None
    temp_max_c: StrictFloat | None = None
    window: str | None = None


def conditions(when: WhenBody | None) -> Conditions | None:
    """Return `when` as a command carries it; None when it asks for nothing."""
    if when is None:
        return None
    found = Conditions(
        soc_min_pct=when.soc_min_pct, charging=when.charging, temp_max_c=when.temp_max_c, window=when.window
    )
    return None if found == Conditions() else found
