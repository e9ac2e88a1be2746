"""The life of a rollout as one pure function over what is known of it; no clock, no store, no device."""

from collections.abc import Mapping
from dataclasses import replace

from controller.patience import span
from controller.rollouts.events import (
    AbortAsked,
    Changed,
    Effect,
    Event,
    Joined,
    Open,
    PauseAsked,
    ResumeAsked,
    RollBack,
    Started,
    Tick,
    Watch,
    Watched,
    Withdraw,
)
from controller.rollouts.standing import BAD, GOOD, JUDGED, NEXT_STANDING, UNDERWAY, Standing
from controller.rollouts.state import NEXT, ROLLBACK_WITHIN_S, Rollout, RolloutPhase, Wave, WavePhase, outcome

S = Standing
_OPEN = frozenset({S.WAITING, S.AWAY}) | UNDERWAY
_PROVEN = JUDGED | {S.ALREADY}


def step(before: Rollout, event: Event, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    """Return what `before` becomes at time `at`, and what has to be done; what makes no sense changes nothing."""
    if before.terminal:
        return before, ()
    match event:
        case AbortAsked() | PauseAsked() | ResumeAsked():
            return _asked(before, event, at)
        case Tick():
            return _passed(before, event, at)
        case Changed():
            return _advance(_counted(before, event), event, at)
        case Joined():
            joined = _with(before, event.wave, {S.WAITING: event.number}) if event.wave in joinable(before) else before
            return joined, ()
        case Started(download_bytes=size) if before.rules.bytes_per_s:
            return replace(before, paced_until=max(at, before.paced_until) + size / before.rules.bytes_per_s), ()
        case Watched():
            return _advance(before, event, at)
    return before, ()


def room(rollout: Rollout, at: float) -> int:
    """Return how many reachable devices of the wave at work may begin now, the window being open."""
    if not may_begin(rollout) or at < rollout.paced_until:
        return 0
    free = rollout.rules.at_once - rollout.count(frozenset({S.FETCHING}))
    return max(0, min(free, rollout.current.count(frozenset({S.WAITING}))))


def may_begin(rollout: Rollout) -> bool:
    """Return whether devices of the wave at work may begin at all, the window being open."""
    return rollout.phase is RolloutPhase.RUNNING and rollout.current.phase is WavePhase.RUNNING


def holds(rollout: Rollout, at: float, *, window_open: bool) -> str | None:
    """Return why nobody begins at this moment although the rollout moves, in words; None where that needs none."""
    rules, wave = rollout.rules, None if rollout.terminal else rollout.current
    if wave is None or rollout.phase not in (RolloutPhase.PLANNED, RolloutPhase.RUNNING):
        return None
    if rollout.phase is RolloutPhase.PLANNED and at < (rules.not_before or 0.0):
        return f"begins in {span((rules.not_before or at) - at)}"
    if wave.phase is WavePhase.SOAKING:
        return f"wave {rollout.wave + 1} is watched for another {span(max(0.0, wave.since + rules.soak_s - at))}"
    if not wave.count(frozenset({S.WAITING})):
        lonely = not wave.count(UNDERWAY) and wave.count(frozenset({S.AWAY}))
        return "waits for the first device that can be reached" if lonely else None
    if not window_open:
        return f"devices begin in the window {rules.window}"
    return f"the next device begins in {span(rollout.paced_until - at)}" if at < rollout.paced_until else None


def joinable(rollout: Rollout) -> tuple[int, ...]:
    """Return the waves that a new device may enter: the one at work and those to come."""
    if rollout.terminal or rollout.phase is RolloutPhase.ROLLING_BACK or not rollout.rules.joins:
        return ()
    return tuple(i for i, wave in enumerate(rollout.waves) if wave.phase in (WavePhase.WAITING, WavePhase.RUNNING))


def _advance(rollout: Rollout, event: Event, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    """Go as far as can be gone at once: over thresholds, waves and the end."""
    effects: tuple[Effect, ...] = ()
    if rollout.phase is RolloutPhase.ROLLING_BACK:
        return _rolled_back(rollout, at)
    while rollout.phase is RolloutPhase.RUNNING:
        after, more = _next(rollout, event, at)
        effects += more
        if after == rollout:
            break
        rollout = after
    return rollout, effects


def _next(rollout: Rollout, event: Event, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    wrong = _went_wrong(rollout, final=False)
    if wrong:
        return _breached(rollout, wrong, at)
    index, wave = rollout.wave, rollout.current
    match wave.phase:
        case WavePhase.WAITING:
            return _wave(rollout, WavePhase.RUNNING, at), (Open(wave=index),)
        case WavePhase.RUNNING:
            return _run(rollout, event, at)
        case WavePhase.SOAKING if event == Watched(wave=index):
            return _close(rollout, at)
        case WavePhase.SOAKING if isinstance(event, Tick) and at >= wave.since + rollout.rules.soak_s:
            return rollout, (Watch(wave=index),)
        case WavePhase.DONE:
            return _after_wave(rollout, at)
    return rollout, ()


def _run(rollout: Rollout, event: Event, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    """Let the wave at work end when nobody in it can go on; the first model has to be proven somewhere first."""
    wave = rollout.current
    if wave.count(UNDERWAY | {S.WAITING}):
        return rollout, ()
    unproven = not rollout.count(_PROVEN) and rollout.count(frozenset({S.AWAY, S.WAITING}))
    if unproven and not rollout.rules.by_name:
        return rollout, (Open(wave=rollout.wave),) if isinstance(event, Tick) else ()
    if rollout.rules.soak_s and wave.count(GOOD):
        return _wave(rollout, WavePhase.SOAKING, at), ()
    return _close(rollout, at)


def _close(rollout: Rollout, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    wrong = _went_wrong(rollout, final=True)
    return _breached(rollout, wrong, at) if wrong else (_wave(rollout, WavePhase.DONE, at), ())


def _after_wave(rollout: Rollout, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    if rollout.wave + 1 < len(rollout.waves):
        after = replace(rollout, wave=rollout.wave + 1)
        if not rollout.rules.pause_after_waves:
            return after, ()
        return _enter(after, RolloutPhase.PAUSED, f"wave {rollout.wave + 1} is done", "wave_done", at), ()
    if rollout.count(UNDERWAY):
        return rollout, ()
    good, bad = rollout.count(GOOD), rollout.count(BAD)
    well = not bad or 100 * good / (good + bad) >= rollout.rules.success_percent
    return _enter(rollout, RolloutPhase.SUCCEEDED if well else RolloutPhase.FAILED, outcome(rollout), None, at), ()


def _went_wrong(rollout: Rollout, *, final: bool) -> str | None:
    """Return why the wave at work, or all of them together, is worse than the rules allow; when `final` for good."""
    rules, wave = rollout.rules, rollout.current
    good, bad = wave.count(GOOD), wave.count(BAD) - wave.forgiven
    least = min(rules.fewest_judged, good + bad + wave.count(UNDERWAY | {S.WAITING}))
    if bad > 0 and (final or good + bad >= least) and 100 * bad / (good + bad) > rules.failure_percent:
        return f"{bad} of {good + bad} judged devices of wave {rollout.wave + 1} went wrong"
    if final and good + bad and 100 * good / (good + bad) < rules.success_percent:
        return f"only {good} of {good + bad} judged devices of wave {rollout.wave + 1} went well"
    good, bad = rollout.count(GOOD), rollout.count(BAD) - sum(each.forgiven for each in rollout.waves)
    if bad > 0 and good + bad >= rules.fewest_judged and 100 * bad / (good + bad) > rules.failure_percent:
        return f"{bad} of {good + bad} judged devices went wrong"
    return None


def _breached(rollout: Rollout, wrong: str, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    why = f"{wrong}, at last {rollout.last_wrong}" if rollout.last_wrong else wrong
    if rollout.rules.on_breach == "pause":
        return _enter(rollout, RolloutPhase.PAUSED, why, "breach", at), ()
    failed = _wave(rollout, WavePhase.FAILED, at)
    if rollout.rules.on_breach == "abort":
        return _ended(failed, RolloutPhase.ABORTED, why, "breach", at)
    return _rolling_back(failed, why, "breach", at)


def _asked(
    rollout: Rollout, event: AbortAsked | PauseAsked | ResumeAsked, at: float
) -> tuple[Rollout, tuple[Effect, ...]]:
    """Do what a person asked for, where the phase allows it."""
    match event:
        case PauseAsked() if rollout.phase is RolloutPhase.RUNNING:
            return _enter(rollout, RolloutPhase.PAUSED, event.reason or "asked for", "asked", at), ()
        case ResumeAsked() if rollout.phase is RolloutPhase.PAUSED:
            waves = tuple(replace(wave, forgiven=wave.count(BAD)) for wave in rollout.waves)
            return _advance(_enter(replace(rollout, waves=waves), RolloutPhase.RUNNING, None, None, at), event, at)
        case AbortAsked(roll_back=True) if rollout.phase in (RolloutPhase.RUNNING, RolloutPhase.PAUSED):
            return _rolling_back(rollout, event.reason or "asked for", "asked", at)
        case AbortAsked() if rollout.phase is not RolloutPhase.ROLLING_BACK:
            return _ended(rollout, RolloutPhase.ABORTED, event.reason or "asked for", "asked", at)
    return rollout, ()


def _passed(rollout: Rollout, tick: Tick, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    """Let time pass: over the deadline, or to the beginning."""
    rolling_back = rollout.phase is RolloutPhase.ROLLING_BACK
    if at >= (rollout.since + ROLLBACK_WITHIN_S if rolling_back else rollout.deadline_at):
        why = f"the deadline is over: {outcome(rollout)}"
        return _ended(rollout, RolloutPhase.FAILED, why, "timed_out", at)
    if rollout.phase is RolloutPhase.PLANNED and tick.window_open and at >= (rollout.rules.not_before or 0.0):
        rollout = _enter(rollout, RolloutPhase.RUNNING, None, None, at)
    return _advance(rollout, tick, at)


def _rolling_back(rollout: Rollout, why: str, code: str, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    moves = {S.WAITING: S.WITHDRAWN, S.DONE: S.TO_ROLL_BACK, S.BREACHED: S.TO_ROLL_BACK}
    begun = _enter(_all_moved(rollout, moves), RolloutPhase.ROLLING_BACK, why, code, at)
    after, effects = _rolled_back(begun, at)
    return after, (Withdraw(reason=why, awaited=True), RollBack(), *effects)


def _rolled_back(rollout: Rollout, at: float) -> tuple[Rollout, tuple[Effect, ...]]:
    """End it once nobody who can be reached has something left to do."""
    if rollout.count(UNDERWAY | {S.TO_ROLL_BACK, S.ROLLING_BACK}):
        return rollout, ()
    well = not rollout.count(frozenset({S.ROLLBACK_FAILED}))
    phase = RolloutPhase.ROLLED_BACK if well else RolloutPhase.FAILED
    return _ended(rollout, phase, rollout.reason or "", rollout.code, at, told=True)


def _ended(
    rollout: Rollout, phase: RolloutPhase, why: str, code: str | None, at: float, *, told: bool = False
) -> tuple[Rollout, tuple[Effect, ...]]:
    """End it, and what is under way; `told` adds to the reason how far it came."""
    after = _all_moved(rollout, dict.fromkeys(_OPEN, S.WITHDRAWN))
    reason = f"{why}; {outcome(after)}" if told else why
    return _enter(after, phase, reason, code, at), (Withdraw(reason=why),)


def _enter(rollout: Rollout, phase: RolloutPhase, why: str | None, code: str | None, at: float) -> Rollout:
    assert phase in NEXT[rollout.phase]
    return replace(rollout, phase=phase, reason=why, code=code, since=at)


def _wave(rollout: Rollout, phase: WavePhase, at: float) -> Rollout:
    return _put(rollout, rollout.wave, replace(rollout.current, phase=phase, since=at))


def _put(rollout: Rollout, index: int, wave: Wave) -> Rollout:
    return replace(rollout, waves=(*rollout.waves[:index], wave, *rollout.waves[index + 1 :]))


def _counted(rollout: Rollout, event: Changed) -> Rollout:
    """Return it with some devices standing elsewhere; a move that cannot be changes nothing."""
    to_wave = event.wave if event.to_wave is None else event.to_wave
    there = 0 <= event.wave < len(rollout.waves) and 0 <= to_wave < len(rollout.waves)
    allowed = event.after in NEXT_STANDING[event.before] or (event.after is event.before and to_wave != event.wave)
    if not there or not allowed or not 0 < event.number <= rollout.waves[event.wave].counts.get(event.before, 0):
        return rollout
    after = _with(_with(rollout, event.wave, {event.before: -event.number}), to_wave, {event.after: event.number})
    if event.after is S.WAITING and event.before is not S.WAITING and to_wave == rollout.wave:
        after = _put(after, to_wave, replace(after.current, phase=_again(after.current.phase)))
    return replace(after, last_wrong=event.why) if event.why else after


def _again(phase: WavePhase) -> WavePhase:
    """Return the phase of the wave at work when one of its devices has another try."""
    return WavePhase.RUNNING if phase in (WavePhase.SOAKING, WavePhase.DONE) else phase


def _with(rollout: Rollout, index: int, more: Mapping[Standing, int]) -> Rollout:
    wave = rollout.waves[index]
    counts = {each: wave.counts.get(each, 0) + more.get(each, 0) for each in (*wave.counts, *more)}
    after = replace(wave, counts={each: number for each, number in counts.items() if number})
    return _put(rollout, index, replace(after, forgiven=min(after.forgiven, after.count(BAD))))


def _all_moved(rollout: Rollout, moves: Mapping[Standing, Standing]) -> Rollout:
    for index, wave in enumerate(rollout.waves):
        for before, after in moves.items():
            number = wave.counts.get(before, 0)
            rollout = _with(rollout, index, {before: -number, after: number}) if number else rollout
    return rollout
