"""What the owner of a device allows on it, whatever is commanded: settings, and `policy.json` read anew each time."""

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from broker.commands import Budget, Command
from broker.errors import InvalidError, RefusedError, WireError
from broker.messages import LocalPolicy
from broker.wire import decode
from edge_agent.bench import figure
from edge_agent.download import origin
from edge_agent.settings import Settings

FILE = "policy.json"
LOCKED_OPS = frozenset({"deploy", "rollback", "undeploy"})
"""What a locked device does not do; with an artifact, `bench` neither."""

HINT = f"the device's owner says so, in its settings or in {FILE} of its data folder"


@dataclass(slots=True, kw_only=True)
class Rules:
    """The policy of the settings (`base`), made stricter by `file`; `can_verify` when a key for signatures is there.

    `fault` says why the file could not be read when it was last looked at.
    """

    base: LocalPolicy = field(default_factory=LocalPolicy)
    file: Path | None = None
    can_verify: bool = False
    fault: str = ""
    _told: LocalPolicy | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Rules":
        """Return the rules of an agent with `settings`; a key to verify with asks for signatures."""
        base = LocalPolicy(
            locked=settings.locked,
            max_energy_mj=settings.max_energy_mj,
            max_latency_ms=settings.max_latency_ms,
            only_hosts=settings.only_hosts,
            signed=bool(settings.verify_key),
        )
        return cls(base=base, file=settings.data / FILE, can_verify=bool(settings.verify_key))

    def policy(self) -> LocalPolicy:
        """Return what is in force now; a file that cannot be understood locks the device."""
        self.fault = ""
        try:
            own = _read(self.file)
        except (OSError, ValueError, WireError, InvalidError) as error:
            self.fault = f"{FILE} cannot be read: {error}"
            return replace(self.base, locked=True)
        return _stricter(self.base, own)

    def tell(self) -> LocalPolicy:
        """Return what is in force now, and remember that the world was told."""
        self._told = self.policy()
        return self._told

    def changed(self) -> bool:
        """Return whether another policy is in force than the one that was told."""
        return self._told is not None and self.policy() != self._told

    def check(self, command: Command) -> None:
        """Raise RefusedError (`local_policy`) for what the owner does not allow, with the rule."""
        policy = self.policy()
        downloads = command.artifact is not None
        if policy.locked and (command.op in LOCKED_OPS or downloads):
            why = f" ({self.fault})" if self.fault else ""
            raise _refused(f"this device is locked{why}: its model stays as it is")
        if command.op != "deploy" and not downloads:
            return
        expected = command.predict.energy_mj if command.predict else None
        if policy.max_energy_mj is not None and expected is not None and expected > policy.max_energy_mj:
            raise _refused(
                f"predicted to cost {figure(expected)} mJ, and this device allows "
                f"{figure(policy.max_energy_mj)} mJ per inference"
            )
        _, host = origin(command.artifact.url) if command.artifact else ("", "")
        if downloads and policy.only_hosts and host not in policy.only_hosts:
            raise _refused(f"this device takes files from {', '.join(policy.only_hosts)} only, not from '{host[:80]}'")
        if downloads and policy.signed and not self.can_verify:
            raise _refused("this device takes signed files only, and has no key to check them with (--verify-key)")

    def bound(self, command: Command) -> Command:
        """Return `command` with budgets no looser than the device's own limits."""
        policy = self.policy()
        energy_mj = _least(command.budget_mj, policy.max_energy_mj)
        latency_ms = _least(command.budget_ms, policy.max_latency_ms)
        return replace(command, budget=Budget(energy_mj=energy_mj, latency_ms=latency_ms))

    def binds(self, code: str, command: Command) -> bool:
        """Return whether what broke as `over_budget` or `over_latency` was the device's own limit."""
        policy = self.policy()
        limits = {
            "over_budget": (policy.max_energy_mj, command.budget_mj),
            "over_latency": (policy.max_latency_ms, command.budget_ms),
        }
        own, asked = limits.get(code, (None, None))
        return own is not None and (asked is None or own < asked)


async def watch(rules: Rules, renew: Callable[[], None], every_s: float) -> None:
    """Call `renew` whenever the policy has changed, for ever: a controller must know what it may send."""
    while True:
        await asyncio.sleep(every_s)
        if rules.changed():
            renew()


def _read(file: Path | None) -> LocalPolicy:
    """Return the policy in `file`, an empty one when there is no file; raises OSError, ValueError, WireError."""
    if file is None or not file.exists():
        return LocalPolicy()
    raw = file.read_bytes()
    document = json.loads(raw)
    known = {each.name for each in fields(LocalPolicy)}
    if not isinstance(document, dict) or (unknown := sorted(document.keys() - known)):
        named = f"'{unknown[0][:40]}' is no rule" if isinstance(document, dict) else "it is no JSON object"
        raise InvalidError(f"{named}; known: {', '.join(sorted(known))}")
    return decode(LocalPolicy, raw)


def _stricter(one: LocalPolicy, other: LocalPolicy) -> LocalPolicy:
    both = tuple(host for host in one.only_hosts if host in other.only_hosts)
    none_left = bool(one.only_hosts) and bool(other.only_hosts) and not both
    return LocalPolicy(
        locked=one.locked or other.locked or none_left,
        max_energy_mj=_least(one.max_energy_mj, other.max_energy_mj),
        max_latency_ms=_least(one.max_latency_ms, other.max_latency_ms),
        only_hosts=both or one.only_hosts or other.only_hosts,
        signed=one.signed or other.signed,
    )


def _least(*limits: float | None) -> float | None:
    known: Iterable[float] = (limit for limit in limits if limit is not None)
    return min(known, default=None)


def _refused(said: str) -> RefusedError:
    return RefusedError(said, code="local_policy", hint=HINT)
