"""The edge of rollouts: makes them, lets people steer them, and carries the open ones on at every tick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from broker.conditions import within
from broker.errors import ConflictError, NotFoundError
from controller.lifecycle import new_id
from controller.rollouts.drafting import Draft, Drafting, refusal_of
from controller.rollouts.driving import AWAY_AT_ONCE, KIND, Drive
from controller.rollouts.events import AbortAsked, Event, PauseAsked, ResumeAsked, Tick
from controller.rollouts.records import News, Participants, Rollouts
from controller.rollouts.request import Request, Selection
from controller.rollouts.rollout import holds, room
from controller.rollouts.standing import Standing
from controller.rollouts.state import Rollout, RolloutPhase, WavePhase, outcome
from controller.service import Service

STARTED_AT_ONCE = 25
"""How many devices one tick lets begin at most, over all rollouts."""


@dataclass(slots=True, kw_only=True)
class Rolling:
    """Every word about a rollout is written in the transaction that also queues what follows from it.

    A controller that was killed goes on from there. At most `downloads` devices of all rollouts together fetch at the
    same time, and the rollouts take turns.
    """

    service: Service
    drafting: Drafting
    rollouts: Rollouts
    participants: Participants
    news: News
    downloads: int
    _turn: int = 0
    _watched: dict[tuple[str, int], int] = field(default_factory=dict)

    def draft(self, request: Request) -> Draft:
        """Return what `request` would do, and change nothing. Raises NotFoundError, InvalidError."""
        return self.drafting.draft(request)

    def make(self, request: Request, who: str, at: float) -> Rollout:
        """Make a rollout. Raises NotFoundError, InvalidError, RefusedError with the plan."""
        return self.begin(self.draft(request), who, at)

    def begin(self, draft: Draft, who: str, at: float) -> Rollout:
        """Make a rollout of its draft. Raises RefusedError with the plan."""
        request, refusal = draft.request, refusal_of(draft)
        if refusal is not None:
            raise refusal
        rollout = draft.begun(new_id("rollout", at), who, at)
        with self.service.store.transaction():
            self.rollouts.add(rollout, request)
            self.participants.add(rollout.id, draft.rows(at))
            reach = f"{rollout.size} devices in {len(rollout.waves)} waves"
            text = f"rollout of {rollout.model} {rollout.phase.value} for {reach}"
            facts = {"rollout_id": rollout.id, "phase": rollout.phase.value, "retry_of": request.retry_of}
            self.service.store.add_event(at, KIND, text, who=who, facts=facts)
        return rollout

    def known(self, rollout_id: str) -> Rollout:
        """Return a rollout. Raises NotFoundError."""
        found = self.rollouts.get(rollout_id)
        if found is None:
            raise NotFoundError(f"no rollout '{rollout_id[:80]}'", hint="`edgewatt rollouts list` shows them")
        return found

    def pause(self, rollout_id: str, reason: str, who: str, at: float) -> Rollout:
        """Let no further device begin. Raises NotFoundError, ConflictError."""
        return self._steer(rollout_id, PauseAsked(reason=reason), who, at, (RolloutPhase.RUNNING,))

    def resume(self, rollout_id: str, who: str, at: float) -> Rollout:
        """Let it go on, in spite of what went wrong so far. Raises NotFoundError, ConflictError."""
        return self._steer(rollout_id, ResumeAsked(), who, at, (RolloutPhase.PAUSED,))

    def abort(self, rollout_id: str, reason: str, who: str, at: float, *, roll_back: bool = False) -> Rollout:
        """End it; devices that are done keep the model unless `roll_back`. Raises NotFoundError, ConflictError."""
        allowed = (RolloutPhase.RUNNING, RolloutPhase.PAUSED, *(() if roll_back else (RolloutPhase.PLANNED,)))
        return self._steer(rollout_id, AbortAsked(reason=reason, roll_back=roll_back), who, at, allowed)

    def retry(self, rollout_id: str, who: str, at: float) -> Rollout:
        """Let devices that failed try again: in the rollout itself while it is open, else in a new one of one wave.

        Raises NotFoundError, ConflictError when none failed, RefusedError.
        """
        rollout = self.known(rollout_id)
        failed = self.participants.standing(rollout_id, [Standing.FAILED])
        if not failed or rollout.phase is RolloutPhase.ROLLING_BACK:
            raise ConflictError(
                f"no device of {rollout_id} can try again: {outcome(rollout)}", hint="nothing was changed"
            )
        if rollout.terminal:
            request = self.rollouts.request(rollout_id)
            ids = tuple(part["device_id"] for part in failed)
            rules = replace(request.rules, joins=False, by_name=False, not_before=None)
            return self.make(
                replace(
                    request, selection=Selection(device_ids=ids), waves=("100%",), rules=rules, retry_of=rollout_id
                ),
                who,
                at,
            )
        with self.service.store.transaction():
            drive = self._drive(rollout, at, who)
            number = drive.again()
            text = f"rollout of {rollout.model}: {number} devices that failed try again"
            self.service.store.add_event(at, KIND, text, who=who, facts={"rollout_id": rollout_id})
            self.rollouts.put(drive.rollout)
        return drive.rollout

    def holds(self, rollout: Rollout, at: float) -> str | None:
        """Return why nobody begins at this moment although a rollout moves, in words."""
        return holds(rollout, at, window_open=_window_open(rollout, at))

    def tick(self, at: float) -> None:
        """Carry every open rollout on; inside a transaction."""
        befores = self.rollouts.open()
        drives = [self._drive(rollout, at) for rollout in befores]
        may_begin = {drive.rollout.id: _window_open(drive.rollout, at) for drive in drives}
        for drive in drives:
            drive.hear()
            if drive.rollout.phase is RolloutPhase.ROLLING_BACK:
                drive.roll_back()
            drive.see(Tick(window_open=may_begin[drive.rollout.id]))
            self._watch(drive)
        able = [drive for drive in drives if may_begin[drive.rollout.id]]
        away = AWAY_AT_ONCE
        for drive in able:
            away -= drive.start_away(away)
        fetching = sum(drive.rollout.count(frozenset({Standing.FETCHING})) for drive in drives)
        wants = {drive.rollout.id: room(drive.rollout, at) for drive in able}
        shares = dealt(min(self.downloads - fetching, STARTED_AT_ONCE), wants, self._turn)
        self._turn += 1
        for drive in able:
            drive.start(shares[drive.rollout.id])
        for drive, before in zip(drives, befores, strict=True):
            if drive.rollout != before:
                self.rollouts.put(drive.rollout)

    def _watch(self, drive: Drive) -> None:
        rollout, wave = drive.rollout, (drive.rollout.id, drive.rollout.wave)
        soaking = not rollout.terminal and rollout.current.phase is WavePhase.SOAKING
        after = self._watched.pop(wave, 0)
        if soaking and rollout.phase is not RolloutPhase.ROLLING_BACK:
            self._watched[wave] = drive.watch(after)

    def _steer(self, rollout_id: str, event: Event, who: str, at: float, allowed: Sequence[RolloutPhase]) -> Rollout:
        rollout = self.known(rollout_id)
        if rollout.phase not in allowed:
            words = " or ".join(phase.value for phase in allowed)
            raise ConflictError(
                f"{rollout_id} is {rollout.phase.value.replace('_', ' ')}",
                hint=f"this can be asked of one that is {words}",
            )
        with self.service.store.transaction():
            drive = self._drive(rollout, at, who)
            drive.see(event)
            self.rollouts.put(drive.rollout)
        return drive.rollout

    def _drive(self, rollout: Rollout, at: float, who: str = "controller") -> Drive:
        return Drive(
            service=self.service,
            drafting=self.drafting,
            participants=self.participants,
            news=self.news,
            rollout=rollout,
            request=self.rollouts.request(rollout.id),
            at=at,
            who=who,
        )


def dealt(free: int, wants: Mapping[str, int], turn: int) -> dict[str, int]:
    """Return how many of `free` places each rollout gets: one each in turn until all are dealt or nobody wants more."""
    got = dict.fromkeys(wants, 0)
    names = list(wants)
    names = names[turn % len(names) :] + names[: turn % len(names)] if names else []
    while free > 0 and (hungry := [name for name in names if got[name] < wants[name]]):
        for name in hungry[:free]:
            got[name] += 1
        free -= len(hungry)
    return got


def _window_open(rollout: Rollout, at: float) -> bool:
    """Return whether devices may begin at `at`, the controller's local time deciding about a daily window."""
    window = rollout.rules.window
    return window is None or within(window, datetime.fromtimestamp(at).astimezone().time())
