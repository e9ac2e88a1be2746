"""Lets records of what has ended go that are too old, or too many: some at each tick, so nothing waits.

What is open stays, whatever a rollout that is kept speaks of, the newest of each device, and of the ledger what each
model cost each device last: against that its live readings are held.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from broker.phases import TERMINAL
from controller.storage.store import Store

DAY_S = 86_400.0
LOOK_EVERY_S = 3_600.0
AT_ONCE = 500
"""Records that one tick looks at."""

_ENDED = ", ".join(f"'{phase}'" for phase in sorted(TERMINAL))
_NEWER = (
    "SELECT 1 FROM {table} AS n WHERE n.device_id = r.device_id AND n.{at} > r.{at} "
    "ORDER BY n.{at} LIMIT 1 OFFSET {rest}"
)
_NEEDED = "SELECT 1 FROM rollout_devices AS p WHERE p.device_id = r.device_id AND p.{key} = r.id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A table of records: what they are called, when they were made, how many of a device stay, and what may go."""

    table: str
    called: str
    at: str
    goes: str

    def of_device(self, rest: int, key: str) -> "Kind":
        """Return it with the newest `rest` + 1 of each device, and what a rollout has under `key`, staying."""
        newer = _NEWER.format(table=self.table, at=self.at, rest=rest)
        goes = f"{self.goes} AND EXISTS ({newer}) AND NOT EXISTS ({_NEEDED.format(key=key)})"
        return Kind(table=self.table, called=self.called, at=self.at, goes=goes)


DEPLOYMENTS = Kind(table="deployments", called="deployments", at="created_at", goes="open = 0").of_device(
    4, "deployment_id"
)
COMMANDS = Kind(table="commands", called="orders", at="created_at", goes=f"phase IN ({_ENDED})").of_device(
    19, "command_id"
)
"""A device tells the end of its newest sixteen commands again and again: those must be known."""
LEDGER = Kind(
    table="ledger",
    called="entries of the ledger",
    at="at",
    goes="EXISTS (SELECT 1 FROM ledger AS n WHERE n.device_id = r.device_id AND n.model || '' = r.model "
    "AND n.id > r.id AND (n.deployment_id IS NULL) = (r.deployment_id IS NULL))",
)
"""Joined with nothing, a model is not looked up by its index, in which there may be all devices."""
KINDS = (COMMANDS, DEPLOYMENTS, LEDGER)


@dataclass(slots=True, kw_only=True)
class Pruning:
    """Keeps each kind of record for its days, and at most `most` of it beyond what has to stay."""

    store: Store
    days: dict[str, float]
    most: int
    removed: Counter[str] = field(default_factory=Counter)
    oldest_at: dict[str, float | None] = field(default_factory=dict)
    _looked_at: float = 0.0
    _due: list[tuple[Kind, float, float]] = field(default_factory=list)
    _went: Counter[str] = field(default_factory=Counter)

    def tick(self, at: float) -> None:
        """Remove some of what is due; inside a transaction."""
        if not self._due:
            if not 0 <= at - self._looked_at < LOOK_EVERY_S:
                self._look(at)
            return
        kind, after, before = self._due.pop()
        until, last = self._slice(kind, after, before)
        went = self.store.connection.execute(
            f"DELETE FROM {kind.table} AS r WHERE {kind.at} >= ? AND {kind.at} <= ? AND {kind.at} < ? AND {kind.goes}",  # noqa: S608 - our own words
            [after, until, before],
        ).rowcount
        self._went[kind.called] += went
        if not last:
            self._due.append((kind, until, before))
        if not self._due:
            self._tell(at)

    def kept(self) -> dict[str, dict[str, Any]]:
        """Return for how long each kind stays, the oldest that there is, and how many went since the start."""
        return {
            kind.table: {
                "days": self.days[kind.table],
                "most": self.most,
                "oldest_at": self.oldest_at.get(kind.table),
                "removed": self.removed[kind.called],
            }
            for kind in KINDS
        }

    def _look(self, at: float) -> None:
        """Find out up to when records of each kind are due; rollouts go first, with what they hold."""
        self._looked_at = at
        self._forget_rollouts(at - self.days["deployments"] * DAY_S)
        for kind in KINDS:
            oldest = self.store.query(f"SELECT min({kind.at}) AS at FROM {kind.table}")[0]["at"]  # noqa: S608 - our own words
            self.oldest_at[kind.table] = oldest
            many = self.store.query(
                f"SELECT {kind.at} AS at FROM {kind.table} ORDER BY {kind.at} DESC LIMIT 1 OFFSET ?",  # noqa: S608 - same
                [self.most],
            )
            before = max([at - self.days[kind.table] * DAY_S, *(row["at"] for row in many)])
            if oldest is not None and oldest < before:
                self._due.append((kind, oldest, before))

    def _slice(self, kind: Kind, after: float, before: float) -> tuple[float, bool]:
        """Return up to when the next records are looked at, and whether these are the last."""
        rows = self.store.query(
            f"SELECT {kind.at} AS at FROM {kind.table} WHERE {kind.at} > ? AND {kind.at} < ? "  # noqa: S608 - our own words
            f"ORDER BY {kind.at} LIMIT 1 OFFSET ?",
            [after, before, AT_ONCE - 1],
        )
        return (rows[0]["at"], False) if rows else (before, True)

    def _forget_rollouts(self, before: float) -> None:
        """Forget a rollout that ended long ago, the oldest first: what its devices got is in their own records."""
        old = self.store.query(
            "SELECT id FROM rollouts WHERE open = 0 AND created_at < ? ORDER BY created_at LIMIT 1", [before]
        )
        for row in old:
            self.store.connection.execute("DELETE FROM rollout_devices WHERE rollout_id = ?", [row["id"]])
            self.store.connection.execute("DELETE FROM rollouts WHERE id = ?", [row["id"]])
            self._went["rollouts"] += 1

    def _tell(self, at: float) -> None:
        gone = {called: number for called, number in self._went.items() if number}
        self.removed.update(gone)
        self._went.clear()
        if gone:
            what = ", ".join(f"{number:,} {called}" for called, number in gone.items())
            self.store.add_event(at, "storage", f"{what} were removed: older, or more, than are kept", facts=gone)
