"""What a device's owner allows there, as the device itself says: asked before anything is sent; pure."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from broker.messages import LocalPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The policy of one device; one that says none allows everything."""

    device_id: str
    policy: LocalPolicy = field(default_factory=LocalPolicy)

    @classmethod
    def of(cls, device_id: str, info: dict[str, Any] | None) -> "Limits":
        """Return the limits in a device's `info`; what cannot be understood is left to the device."""
        try:
            policy = msgspec.convert((info or {}).get("policy") or {}, LocalPolicy)
        except msgspec.ValidationError:
            policy = LocalPolicy()
        return cls(device_id=device_id, policy=policy)

    def bars(self, *, host: str, signs: bool) -> str | None:
        """Return why nothing from `host`, which `signs` its files or does not, can go there; None when it can."""
        if self.policy.locked:
            return f"{self.device_id} is locked by its owner and takes no deployment"
        if self.policy.only_hosts and host not in self.policy.only_hosts:
            return (
                f"{self.device_id} takes files from {', '.join(self.policy.only_hosts)} only, and ours come from {host}"
            )
        if self.policy.signed and not signs:
            return f"{self.device_id} takes signed files only, and this controller has no key to sign with"
        return None

    def words(self, energy_mj: float) -> str:
        """Return that `energy_mj` is the device's own limit."""
        return f"{self.device_id} allows {energy_mj:g} mJ per inference, a limit of its own"
