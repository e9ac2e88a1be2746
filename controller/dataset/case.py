"""A line of a file on its way: what is known of it, what was decided about it, and where that leaves it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from broker.benchmark_row import BenchmarkRow
from controller.dataset.reference import Network
from controller.models.manifest import Variant

Value = float | int | str | None


class Effect(StrEnum):
    """What a finding does to its row; the last one found counts: a rejected row is rejected whatever was repaired."""

    NOTED = "noted"
    REPAIRED = "repaired"
    REJECTED = "rejected"


class Status(StrEnum):
    """Where a row ends; each in exactly one."""

    ACCEPTED = "accepted"
    REPAIRED = "repaired"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that a rule, `code`, saw in a row; `field`, `before` and `after` where it repaired one."""

    code: str
    effect: Effect
    because: str
    field: str = ""
    before: Value = None
    after: Value = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row with its findings. `energy_run_mj` is of a whole run, `energy_some_mj` of a run or of one inference.

    `runs_mj` are the energies of the single runs that an average was taken over, in the average's unit; `half` that a
    column says fp16; `known` what the catalogue knows of the network.
    """

    line: int
    row: BenchmarkRow
    energy_run_mj: float | None = None
    energy_some_mj: float | None = None
    runs_mj: tuple[float, ...] = ()
    duration_s: float | None = None
    batch: int | None = None
    network: str = ""
    variant: Variant = "fp32"
    half: bool = False
    known: Network | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def status(self) -> Status:
        """Where the row stands by its findings."""
        effects = {finding.effect for finding in self.findings}
        if Effect.REJECTED in effects:
            return Status.REJECTED
        return Status.REPAIRED if Effect.REPAIRED in effects else Status.ACCEPTED

    def noted(self, code: str, because: str) -> "Case":
        """Return this case with something said about it."""
        return self.with_finding(Finding(code=code, effect=Effect.NOTED, because=because))

    def rejected(self, code: str, because: str, field: str = "") -> "Case":
        """Return this case set aside."""
        return self.with_finding(Finding(code=code, effect=Effect.REJECTED, because=because, field=field))

    def repaired(self, code: str, because: str, **fields: Any) -> "Case":
        """Return this case with `fields` of its row changed, a finding for each."""
        found = (
            Finding(
                code=code,
                effect=Effect.REPAIRED,
                because=because,
                field=name,
                before=getattr(self.row, name),
                after=after,
            )
            for name, after in fields.items()
        )
        return replace(self, row=replace(self.row, **fields), findings=(*self.findings, *found))

    def emptied(self, code: str, because: str, field: str, text: str) -> "Case":
        """Return this case with `field`, in which `text` stood, left empty."""
        return self.with_finding(Finding(code=code, effect=Effect.REPAIRED, because=because, field=field, before=text))

    def with_finding(self, finding: Finding) -> "Case":
        """Return this case with one more `finding`."""
        return replace(self, findings=(*self.findings, finding))


Rule = Callable[[Case], Case]
"""Looks at one thing in a case; returns it with what it found, or as it was."""
