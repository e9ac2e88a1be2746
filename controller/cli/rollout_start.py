"""Starting a rollout from the command line: planned first, asked about, then made."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from broker.errors import InvalidError, RefusedError
from controller.cli.console import Console
from controller.cli.exits import Exit
from controller.cli.rollout_following import Document, devices, follow, showing

if TYPE_CHECKING:
    from controller.cli.planning import Request

DEFAULT_PLAN = "1,10%,50%,100%"


def start(
    console: Console,
    model: Annotated[str, typer.Argument(help="The model.")],
    *,
    to: Annotated[list[str] | None, typer.Option(metavar="ID|KEY=VALUE", help="Devices, by id or tag.")] = None,
    board: Annotated[list[str] | None, typer.Option(metavar="TYPE", help="Only boards of this type.")] = None,
    plan: Annotated[str, typer.Option(help="Where each wave ends: numbers, or % of all.")] = DEFAULT_PLAN,
    energy_mj: Annotated[float | None, typer.Option(help="The budget, mJ per inference.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="The most that 95 % of inferences may take.")] = None,
    expected: Annotated[bool, typer.Option("--expected", help="Compare the prediction with the budget.")] = False,
    soak: Annotated[float | None, typer.Option(metavar="SECONDS", help="Each device watches it so long.")] = None,
    watch_s: Annotated[float, typer.Option(help="A finished wave is watched so long.", min=0)] = 0.0,
    max_temp_c: Annotated[float | None, typer.Option(help="Hotter during the watch is a breach.")] = None,
    brown_outs: Annotated[bool, typer.Option("--brown-outs", help="So is a throttled device.")] = False,
    failure_percent: Annotated[float, typer.Option(help="More gone wrong is a breach.", min=0, max=100)] = 5.0,
    success_percent: Annotated[float | None, typer.Option(help="Fewer well at a wave's end too.")] = None,
    fewest: Annotated[int, typer.Option(help="Devices judged before that is said.", min=1)] = 5,
    on_breach: Annotated[
        Literal["pause", "abort", "roll_back_all"], typer.Option(help="What follows from a breach.")
    ] = "pause",
    pause_after_waves: Annotated[bool, typer.Option("--pause-after-waves", help="A person lets each begin.")] = False,
    at_once: Annotated[int, typer.Option(help="Devices that download at the same time.", min=1)] = 20,
    bytes_per_s: Annotated[float | None, typer.Option(help="Pace starts by the file's size.")] = None,
    not_before: Annotated[str, typer.Option(metavar="TIME", help="2026-11-25T22:00, local or with an offset.")] = "",
    window: Annotated[str, typer.Option(metavar="HH:MM-HH:MM", help="Begin devices then, by the controller.")] = "",
    joins: Annotated[bool, typer.Option("--joins", help="New devices that match enter later waves.")] = False,
    deadline_h: Annotated[float | None, typer.Option(help="It ends after so many hours.", min=0)] = None,
    only_fitting: Annotated[bool, typer.Option("--only-fitting", help="Leave out who does not fit.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow to the end; the exit code is the result's.")] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)] = 86_400.0,
) -> int:
    """Bring a model to many devices in waves, and stop when it goes wrong.

    The gate is asked for each device first. Who is away is not waited for.
    """
    guards = {"temperature_c": max_temp_c, "brown_outs": brown_outs or None}
    asked = {
        **_selected(to or []),
        "device_types": board or [],
        "waves": _steps(plan),
        "max_energy_mj": energy_mj,
        "max_latency_ms": latency_ms,
        "policy": "expected" if expected else None,
        "soak_s": soak,
        "watch_s": watch_s,
        "guards": {name: value for name, value in guards.items() if value is not None},
        "failure_percent": failure_percent,
        "success_percent": success_percent,
        "fewest_judged": fewest,
        "on_breach": on_breach,
        "pause_after_waves": pause_after_waves,
        "at_once": at_once,
        "bytes_per_s": bytes_per_s,
        "not_before": _time(not_before),
        "window": window or None,
        "joins": joins,
        "deadline_s": None if deadline_h is None else deadline_h * 3_600,
        "only_fitting": only_fitting,
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return _begin(console, model, given, dry_run=dry_run, yes=yes, wait=wait, timeout=timeout)


def in_waves(
    console: Console,
    request: "Request",
    to: list[str],
    plan: str,
    *,
    only_fitting: bool,
    dry_run: bool,
    yes: bool,
    wait: bool,
    timeout: float,
) -> int:
    """Make what `edgewatt deploy` was asked for a rollout with the waves of `plan`."""
    terms = {name: value for name, value in request.terms.items() if value is not None}
    given = {"max_energy_mj": request.budget_mj, "policy": request.policy}
    asked = {
        **_selected(to),
        "waves": _steps(plan),
        **{name: value for name, value in given.items() if value is not None},
        "force": request.force,
        "reason": request.reason,
        "only_fitting": only_fitting,
    }
    return _begin(console, request.model, asked | terms, dry_run=dry_run, yes=yes, wait=wait, timeout=timeout)


def _begin(
    console: Console, model: str, asked: Mapping[str, Any], *, dry_run: bool, yes: bool, wait: bool, timeout: float
) -> int:
    """Plan the rollout that `asked` (REST's fields) means, say what it would do, and make it when that is wanted."""
    from controller.cli import rollout_tables  # noqa: PLC0415 - imported on use

    with console.busy("asking the gate about each device"):
        answer = console.client.plan_rollout(model, **asked)
    plan, allowed = answer["plan"], bool(answer["allowed"])
    if dry_run or not console.as_json:
        console.show(answer, *rollout_tables.plan(plan))
    fitting = sum(wave["devices"] for wave in plan["waves"])
    hint = f"roll out to the {fitting} that fit: add --only-fitting" if fitting else ""
    if dry_run:
        if not allowed:
            console.say("\n".join(filter(None, (f"refused: {answer['refusal']}", hint))))
        return Exit.DONE if allowed else Exit.REFUSED
    if not allowed:
        raise RefusedError(f"refused: {answer['refusal']}", hint=hint, plan=plan)
    waves = len(plan["waves"])
    question = f"Roll out {plan['model']} to {devices(fitting)} in {waves} wave{'s' if waves != 1 else ''}?"
    if not console.agrees(question, yes=yes):
        return Exit.INTERRUPTED
    made = console.client.make_rollout(model, **asked)
    if not wait:
        console.say(f"watch it: edgewatt rollouts watch {made['rollout_id']}")
    return follow(console, made["rollout_id"], timeout) if wait else showing(console, made["rollout"])


def _selected(to: list[str]) -> Document:
    """Return which devices `--to` means: ids, and tags `key=value`."""
    return {"device_ids": [name for name in to if "=" not in name], "tags": [name for name in to if "=" in name]}


def _steps(plan: str) -> list[str]:
    """Return the waves of a plan such as `1,10%,50%,100%`."""
    return [step.strip() for step in plan.split(",") if step.strip()]


def _time(text: str) -> float | None:
    """Return the Unix time that a person wrote, local unless it has an offset. Raises InvalidError."""
    from datetime import datetime  # noqa: PLC0415 - imported on use

    try:
        return datetime.fromisoformat(text).timestamp() if text else None
    except ValueError:
        raise InvalidError(f"'{text[:40]}' is no time", code="usage", hint="write 2026-11-25T22:00") from None
