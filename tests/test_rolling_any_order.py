"""A whole rollout under anything: what its rows say and what it counts stay the same, and it ends."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from broker.errors import ConflictError, NotFoundError
from controller.rollouts.guards import Guards
from controller.rollouts.request import Request, Selection
from controller.rollouts.state import ROLLBACK_WITHIN_S, RolloutPhase, Rules
from controller.storage.database import EVERY
from tests.rolling_fleet import MODEL, RollingFleet

DEADLINE_S = 100_000.0
TAG = {"line": "A"}
PICK = st.integers(0, 99)


class AnyOrder(RuleBasedStateMachine):
    """Devices come, go, succeed, fail, heat up and are forgotten; people steer; the controller is killed."""

    folder = None

    @initialize(
        count=st.integers(1, 6),
        on_breach=st.sampled_from(["pause", "abort", "roll_back_all"]),
        watch_s=st.sampled_from([0.0, 30.0]),
        pause=st.booleans(),
        away=st.sets(st.integers(0, 5)),
    )
    def begin(self, count, on_breach, watch_s, pause, away):
        self.folder.mkdir(exist_ok=True)
        for stale in self.folder.glob("controller.db*"):
            stale.unlink()
        self.fleet = RollingFleet(self.folder)
        self.names = self.fleet.joined(count, tags=TAG)
        self.fleet.leave(*(self.names[index] for index in away if index < count))
        rules = Rules(
            on_breach=on_breach,
            soak_s=watch_s,
            pause_after_waves=pause,
            at_once=2,
            joins=True,
            guards=Guards(energy_mj=8.0, temperature_c=80.0),
        )
        selection = Selection(tags=("line=A",))
        request = Request(
            model=MODEL, selection=selection, waves=("1", "50%", "100%"), rules=rules, deadline_s=DEADLINE_S
        )
        self.id = self.fleet.rolling.make(request, "cli", self.fleet.at).id

    def name(self, pick):
        return self.names[pick % len(self.names)]

    @rule(seconds=st.sampled_from([1.0, 6.0, 40.0]))
    def time_passes(self, seconds):
        self.fleet.tick(seconds)

    @rule(pick=PICK, energy_mj=st.sampled_from([5.0, 9.0]))
    def a_device_succeeds(self, pick, energy_mj):
        if self.fleet.open_deployment(self.name(pick)):
            self.fleet.succeed(self.name(pick), energy_mj=energy_mj)

    @rule(pick=PICK)
    def a_device_fails(self, pick):
        if self.fleet.open_deployment(self.name(pick)):
            self.fleet.fail(self.name(pick))

    @rule(pick=PICK, step=st.sampled_from(["accepted", "downloading", "probing", "soaking"]))
    def a_device_gets_further(self, pick, step):
        if self.fleet.open_deployment(self.name(pick)):
            self.fleet.ack(self.name(pick), step)

    @rule(pick=PICK)
    def a_device_is_hot(self, pick):
        self.fleet.sample(self.name(pick), temperature_c=90.0)

    @rule(pick=PICK, reason=st.sampled_from(["lost", "sleep"]))
    def a_device_leaves(self, pick, reason):
        self.fleet.leave(self.name(pick), reason=reason)

    @rule(pick=PICK)
    def a_device_comes_back(self, pick):
        self.fleet.come_back(self.name(pick))

    @rule(pick=PICK)
    def a_device_is_forgotten(self, pick):
        if self.fleet.store.has_device(self.name(pick)):
            self.fleet.service.forget(self.name(pick), "cli", self.fleet.at)

    @precondition(lambda self: len(self.names) < 9)
    @rule()
    def a_device_joins(self):
        self.names.append(f"n{len(self.names)}")
        self.fleet.join(self.names[-1], tags=TAG)

    @rule(pick=PICK, ends=st.sampled_from(["succeeded", "failed"]))
    def a_rollback_is_answered(self, pick, ends):
        orders = self.fleet.orders("rollback")
        if orders:
            device_id, command = orders[pick % len(orders)]
            self.fleet.answer(device_id, command, ends)

    @rule(deed=st.sampled_from(["pause", "resume", "abort", "roll back", "retry", "another deployment"]), pick=PICK)
    def a_person_steers(self, deed, pick):
        rolling, at = self.fleet.rolling, self.fleet.at
        try:
            match deed:
                case "pause":
                    rolling.pause(self.id, "", "cli", at)
                case "resume":
                    rolling.resume(self.id, "cli", at)
                case "abort" | "roll back":
                    rolling.abort(self.id, "", "cli", at, roll_back=deed == "roll back")
                case "retry" if not self.fleet.rollout(self.id).terminal:
                    rolling.retry(self.id, "cli", at)
                case "another deployment" if (other := self.fleet.open_deployment(self.name(pick))) is not None:
                    self.fleet.service.cancel(other.id, "", "cli", at)
        except (ConflictError, NotFoundError):
            pass  # it cannot be asked for now

    @rule()
    def the_controller_is_killed(self):
        self.fleet.reopen()

    @invariant()
    def its_rows_and_its_counts_say_the_same(self):
        self.fleet.standings(self.id)

    @invariant()
    def nobody_has_two_deployments_of_it(self):
        found = self.fleet.under_way()
        assert len(found) == len(set(found))

    def teardown(self):
        """It ends at its deadline at the latest, an hour later when it rolls back; then nothing of it is open."""
        self.fleet.tick(DEADLINE_S)
        self.fleet.tick(ROLLBACK_WITHIN_S)
        rollout = self.fleet.rollout(self.id)
        assert rollout.terminal
        self.fleet.standings(self.id)
        if rollout.phase is not RolloutPhase.SUCCEEDED:
            left = self.fleet.service.deployments.find(open_only=True, limit=EVERY)
            assert "queued" not in [each.phase.value for each in left]
        self.fleet.store.close()


def test_any_order(tmp_path_factory):
    folder = tmp_path_factory.mktemp("any order")

    class Here(AnyOrder):
        pass

    Here.folder = folder
    run_state_machine_as_test(Here, settings=settings(max_examples=10, stateful_step_count=25, deadline=None))
