"""One finding of a checkup: how a part is, and what to do where it is not well."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not ok."""

    what: str
    verdict: Verdict
    says: str
    hint: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """The finding as JSON."""
        return asdict(self)
