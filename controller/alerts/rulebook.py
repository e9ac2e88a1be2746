"""The rules that hold: ours, and over them what people made and changed."""

from dataclasses import dataclass, field

from controller.alerts.builtin import BUILT_IN
from controller.alerts.glance import Glance, glance
from controller.alerts.quantities import Scope
from controller.alerts.records import StoredRules
from controller.alerts.rule import Rule
from controller.alerts.sampled import told_by_samples


@dataclass(slots=True, kw_only=True)
class RuleBook:
    """Looked at for every message, so kept in memory until `forget`."""

    stored: StoredRules
    _all: dict[str, Rule] | None = None
    _enabled: dict[str, tuple[Rule, ...]] = field(default_factory=dict)
    _at_once: tuple[tuple[Rule, ...], Glance] | None = None

    @property
    def all(self) -> dict[str, Rule]:
        """Every rule by name, ours first; also those that are switched off."""
        if self._all is None:
            self._all = BUILT_IN | self.stored.all()
            self._enabled, self._at_once = {}, None
        return self._all

    def enabled(self, scope: Scope) -> tuple[Rule, ...]:
        """Return the rules over what is of this scope that are switched on."""
        rules = self.all
        if scope not in self._enabled:
            self._enabled[scope] = tuple(r for r in rules.values() if r.enabled and r.watched.scope == scope)
        return self._enabled[scope]

    @property
    def told(self) -> tuple[Rule, ...]:
        """The rules that are switched on over what samples tell."""
        return self._made()[0]

    @property
    def glance(self) -> Glance:
        """What the rules over devices that are switched on ask of one at a glance."""
        return self._made()[1]

    def changed(self, name: str) -> bool:
        """Return whether people said something of a rule of this name."""
        rule = self.all.get(name)
        return rule is not None and rule is not BUILT_IN.get(name)

    def forget(self) -> None:
        """Read them anew next time."""
        self._all = None

    def _made(self) -> tuple[tuple[Rule, ...], Glance]:
        rules = self.enabled("device")
        if self._at_once is None:
            self._at_once = told_by_samples(rules), glance(rules)
        return self._at_once
