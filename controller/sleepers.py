"""Misses devices that did not wake when they said they would, and says so once."""

from dataclasses import dataclass, field

from controller.sleep import LONGEST_SLEEP_S, OVERSLEPT_S, clock
from controller.storage.store import Store


@dataclass(slots=True, kw_only=True)
class Sleepers:
    """Looks at who sleeps; call `tick` inside a transaction."""

    store: Store
    _missed: dict[str, float] = field(default_factory=dict)

    def tick(self, at: float) -> None:
        """Tell of each device that is overdue and was not told of, also not before a restart."""
        before, self._missed = self._missed, self.store.wakings(at - LONGEST_SLEEP_S, at - OVERSLEPT_S)
        for device_id, wake_at in self._missed.items():
            if before.get(device_id) == wake_at:
                continue
            newest = self.store.events(kind="presence", device_id=device_id, limit=1)
            if newest and (newest[0]["facts"] or {}).get("overslept") == wake_at:
                continue
            text = f"{device_id} should have woken at {clock(wake_at, at)}"
            self.store.add_event(at, "presence", text, device_id=device_id, facts={"overslept": wake_at})
