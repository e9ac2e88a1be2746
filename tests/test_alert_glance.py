"""What a glance passes over is what a look at everything finds nothing wrong with, whatever the rules ask."""

import json
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from broker.messages import Energy, Latency, Telemetry
from broker.phases import Phase
from controller.alerts.builtin import BUILT_IN
from controller.alerts.composing import compose_alerts
from controller.alerts.facts import FactFinder
from controller.alerts.glance import FIGURES, NOUGHT, Glimpse, glance
from controller.alerts.quantities import QUANTITIES
from controller.alerts.rule import COMPARISONS, Rule
from controller.deployment import begin
from controller.records import Deployments
from controller.rollouts.records import Rollouts
from controller.storage.store import Store

NOW = 1_800_000_000.0
DEVICES = 150
AGES_S = (0.0, 4.0, 12.0, 29.0, 61.0, 299.0, 301.0, 700.0, 2_000.0)
LEVELS = (0.0, 1.0, 8.0, 20.0, 50.0, 80.0, 100.0, 300.0)
DEVICE_QUANTITIES = [name for name, each in QUANTITIES.items() if each.scope == "device"]
ENDED = (Phase.FAILED, Phase.REJECTED, Phase.TIMED_OUT, Phase.ROLLBACK_FAILED, Phase.CANCELLED)
OURS = tuple(rule for rule in BUILT_IN.values() if rule.watched.scope == "device")


ASPECTS = ("presence", "age", "disk", "clock", "budget", "figures", "silence", "deployment", "watch", "gaps", "missing")


def filled(store, luck, skews):
    """A fleet in which little is wrong with each device; return by device what that is."""
    odd = {f"dev-{index:03d}": set(luck.sample(ASPECTS, luck.choice((0, 1, 1, 1, 2)))) for index in range(DEVICES)}
    with store.transaction():
        for name, aspects in odd.items():
            store.add_device(name, NOW - luck.choice(AGES_S), approved=True)
            store.put_device(name, **_columns(luck, aspects))
            skews[name] = luck.choice((-90.0, 30.0, 61.0, 120.0)) if "clock" in aspects else 0.5
            if "silence" in aspects and luck.random() < 0.5:
                tell(store, luck, {name: aspects}, NOW - luck.choice(AGES_S))
            phase = luck.choice(ENDED) if "deployment" in aspects else luck.choice((Phase.SUCCEEDED, None))
            if phase is not None:
                made = begin(command_id=f"c-{name}", device_id=name, model="m", origin="cli", at=NOW)
                Deployments(store).put(replace(made, phase=phase))
            if "watch" in aspects:
                _watch(store, name, alarm=luck.random() < 0.8)
    return odd


def tell(store, luck, odd, at):
    """Let devices say how they are at a time."""
    told = {name: (_sample(luck, aspects, at), at) for name, aspects in odd.items()}
    store.readings.put(told)


def _columns(luck, aspects):
    online = luck.choice((None, 0)) if "presence" in aspects else 1
    interval_s = luck.choice((None, 5.0, 20.0, 200.0))
    status = {"interval_s": interval_s, "reason": luck.choice(("lost", "sleep"))}
    free_mb = luck.choice(LEVELS) if "disk" in aspects else 9_000.0
    budget_mj = 2.0 if "budget" in aspects else 60.0
    whole = {
        "online": online,
        "status": status,
        "status_at": None if online is None else NOW - luck.choice(AGES_S if "age" in aspects else AGES_S[:4]),
        "info": {"disk_free_mb": free_mb, "tags": {"line": "A"}},
        "state": {"budget": {"energy_mj": budget_mj}},
        "gaps": luck.choice((0, 3)),
    }
    if "missing" in aspects:
        whole |= {luck.choice(("status", "info", "state")): luck.choice((None, {}))}
    return whole


def _sample(luck, aspects, at):
    level = luck.choice(LEVELS) if "figures" in aspects else 50.0
    maybe = (None,) if "missing" in aspects else ()
    return Telemetry(
        ts=at,
        session="s",
        seq=1,
        temperature_c=luck.choice((*maybe, level)),
        soc_pct=luck.choice((*maybe, level)),
        throttled=luck.choice((*maybe, False, "figures" in aspects)),
        latency_ms=luck.choice((*maybe, Latency(p50=1.0, p95=level, max=level))),
        energy=luck.choice((*maybe, Energy(source=luck.choice(("pmic", "simulated")), energy_mj=level))),
    )


def _watch(store, name, *, alarm):
    told = {"device_id": name, "model": "m", "source": "pmic", "baseline_mj": 5.0, "deployment_id": "d", "read_at": NOW}
    document = json.dumps(told | {"alarm": alarm, "readings": 1, "log_sum": 0.2})
    sql = "INSERT INTO watches (device_id, model, source, alarm, document) VALUES (?, 'm', 'pmic', ?, ?)"
    store.connection.execute(sql, [name, int(alarm), document])


def rules(luck, number):
    """Rules over anything, with any threshold; some mean one kind of energy or some devices only."""
    made = [replace(BUILT_IN["readings-lost"], enabled=True)]
    for index in range(number):
        quantity = luck.choice(DEVICE_QUANTITIES)
        made.append(
            Rule(
                name=f"rule-{index}",
                quantity=quantity,
                comparison=luck.choice(COMPARISONS),
                threshold=luck.choice(LEVELS),
                no_data_after_s=luck.choice((10.0, 300.0, 1_000.0)),
                kinds=("measured",) if QUANTITIES[quantity].is_energy and luck.random() < 0.5 else (),
                tags=("line=A",) if luck.random() < 0.2 else (),
            )
        )
    return made


class Glancing(FactFinder):
    """Remembers how many devices were passed over."""

    passed = 0

    def well(self, names, at, glance):
        found = super().well(names, at, glance)
        self.passed += len(found)
        return found


class Thorough(FactFinder):
    """Passes over nobody."""

    def well(self, *_):
        return set()


def desk_over(store, finder, skews):
    bus = SimpleNamespace(connected=True, dropped=0)
    desk = compose_alerts(store, bus, Path(), skews, max_mb=1e4, notices=False)
    desk.evaluating.finder = finder(store=store, link=bus, rollout_records=Rollouts(store), skews=skews)
    desk.evaluating.elapsed = lambda: 0.0
    return desk


def looked_at(store, finder, seed):
    """How every rule stands after a while in a fleet, and who looked."""
    skews, luck = {}, random.Random(seed)
    if seed % 2:
        store.hold()  # newest samples are looked at in memory then
    odd = filled(store, luck, skews)
    desk = desk_over(store, finder, skews)
    for rule in rules(random.Random(seed), seed):
        desk.put_rule(rule, "cli", NOW)
    for at in (NOW + 1.0, NOW + 70.0, NOW + 640.0, NOW + 2_500.0):
        with store.transaction():
            tell(store, luck, {name: aspects for name, aspects in odd.items() if "silence" not in aspects}, at)
            store.add_gaps({name: 200 for name, aspects in odd.items() if "gaps" in aspects and at > NOW + 600.0})
        desk.tick(at, None)
    rows = store.query("SELECT subject, rule, document FROM alerts ORDER BY subject, rule")
    return [tuple(row.values()) for row in rows], desk.evaluating.finder


def test_of_a_fleet_that_is_well_everybody_passes(store):
    names, desk = [f"dev-{index}" for index in range(3)], desk_over(store, Glancing, {})
    with store.transaction():
        for name in names:
            store.add_device(name, NOW, approved=True)
            store.put_device(name, **_columns(random.Random(1), set()))
        tell(store, random.Random(1), dict.fromkeys(names, ()), NOW)
    desk.tick(NOW + 1.0, None)

    assert (desk.evaluating.finder.passed, desk.evaluating.evaluated) == (3, 3)
    assert store.query("SELECT * FROM alerts WHERE scope = 'device'") == []


@pytest.mark.parametrize("seed", range(4))
def test_a_fleet_that_is_glanced_at_has_the_alerts_of_one_that_is_looked_at(store, seed):
    other = Store(None)
    found, looked = looked_at(store, Glancing, seed)
    expected, _ = looked_at(other, Thorough, seed)
    other.close()

    assert found == expected
    assert len(found) > 50
    assert looked.passed > DEVICES or seed, "with our own rules most of a fleet passes"


def test_a_rule_of_which_a_glance_cannot_tell_lets_nobody_pass():
    well = Glimpse(
        heard_at=NOW,
        reading_at=NOW,
        interval_s=5.0,
        disk_free_mb=9_000.0,
        energy_mj=5.0,
        budget_mj=10.0,
        skew_s=0.1,
        lost=0.0,
    )
    odd = Rule(name="connected", quantity="offline_s", comparison="<", threshold=5.0)

    assert glance(OURS).passes(well, NOW + 20.0)
    assert not glance((*OURS, odd)).passes(well, NOW + 20.0)
    assert set(DEVICE_QUANTITIES) == {*NOUGHT, *FIGURES} | {name for name in DEVICE_QUANTITIES if QUANTITIES[name].path}
