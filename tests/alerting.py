"""A fleet whose alerts are looked at, at the test's own time, without a bus."""

from types import SimpleNamespace

from broker.link import Packet
from broker.messages import Energy, State, Telemetry
from broker.topics import STATE, TELEMETRY
from controller.alerts.composing import compose_alerts
from tests.rolling_fleet import RollingFleet

FORGOTTEN = (
    "devices",
    "alerts",
    "alert_rules",
    "alert_silences",
    "alert_outbox",
    "events",
    "telemetry",
    "telemetry_minutes",
    "telemetry_hours",
    "rolled",
    "deployments",
    "outbox",
    "rollouts",
    "rollout_devices",
    "counters",
    "remembered",
)


class AlertFleet(RollingFleet):
    """What devices say is looked at in the next second; `bus` is the connection to the broker."""

    def open(self):
        super().open()
        self.bus = SimpleNamespace(connected=True, dropped=0)
        self.alerts = self.parts.alerts
        self.alerts.own.link = self.alerts.evaluating.finder.link = self.bus
        self.storage_fault = None

    def forget_everything(self):
        """Be as a controller that was just installed, a while later."""
        for table in FORGOTTEN:
            self.store.connection.execute(f"DELETE FROM {table}")
        self.store.forget_device("nobody")  # and what was kept of ids in memory
        self.sessions.clear()
        self.at += 1_000.0
        self.alerts.__init__(evaluating=self._anew().evaluating, own=self._anew().own)
        self.bus.connected = True

    def _anew(self):
        hearing = self.parts.ingest.hearing
        hearing.samples.skews.clear()
        return compose_alerts(
            self.store,
            self.bus,
            self.folder,
            hearing.samples.skews,
            max_mb=1e4,
            notices=self.alerts.notices is not None,
        )

    def say(self, device_id, route, message):
        packet = Packet(topic=route.topic(device_id), payload=route.encode(message), retain=route.retain)
        with self.store.transaction():
            words = [packet] if self.parts.ingest.hearing.hear(packet, self.at) else []
            self.alerts.heard(self.parts.ingest.hearing.flush(), words)

    def tick(self, seconds=1.0, times=1):
        for _ in range(times):
            super().tick(seconds)
            self.alerts.tick(self.at, self.storage_fault)

    def _pass_time(self):
        """Let only the test move time, also while REST is served."""

    def telemetry(self, device_id, *, ts=None, spooled=False, energy_mj=None, source="pmic", **figures):
        self.seq += 1
        energy = None if energy_mj is None else Energy(source=source, energy_mj=energy_mj)
        sample = Telemetry(ts=self.at if ts is None else ts, session="s1", seq=self.seq, energy=energy, **figures)
        self.say(device_id, TELEMETRY, Telemetry(batch=(sample,)) if spooled else sample)

    def budget(self, device_id, energy_mj):
        self.seq += 1
        budget = {"energy_mj": energy_mj, "status": "ok"}
        self.say(device_id, STATE, State(rev=self.seq, session="s1", budget=budget))

    def hot(self, device_id, seconds=65, **figures):
        """Let a device be hot for so long."""
        for _ in range(0, seconds, 5):
            self.telemetry(device_id, **({"temperature_c": 85.0} | figures))
            self.tick(5.0)

    def listed(self, view="open", **wanted):
        _, found = self.alerts.page(self.at, view, 100, 0, **wanted)
        return {each["id"]: each for each in found}

    def told(self):
        return [each["text"] for each in self.store.events(kind="alert", limit=1_000, oldest_first=True)]
