"""The rules that hold: ours, and over them what people made and changed."""

from dataclasses import dataclass, field

from controller.alerts.builtin import BUILT_IN
from controller.alerts.quantities import Scope
from controller.alerts.records import StoredRules
from controller.alerts.rule import Rule


@dataclass(slots=True, kw_only=True)
class RuleBook:
    """Looked at for every message, so kept in memory until `forget`."""

    stored: StoredRules
    _all: dict[str, Rule] | None = None
    _enabled: dict[str, tuple[Rule, ...]] = field(default_factory=dict)

    @property
    def all(self) -> dict[str, Rule]:
        """Every rule by name, ours first; also those that are switched off."""
        if self._all is None:
            self._all = BUILT_IN | self.stored.all()
            self._enabled = {}
        return self._all

    def enabled(self, scope: Scope) -> tuple[Rule, ...]:
        """Return the rules over what is of this scope that are switched on."""
        rules = self.all
        if scope not in self._enabled:
            self._enabled[scope] = tuple(r for r in rules.values() if r.enabled and r.watched.scope == scope)
        return self._enabled[scope]

    def changed(self, name: str) -> bool:
        """Return whether people said something of a rule of this name."""
        rule = self.all.get(name)
        return rule is not None and rule is not BUILT_IN.get(name)

    def forget(self) -> None:
        """Read them anew next time."""
        self._all = None
