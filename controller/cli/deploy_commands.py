"""`edgewatt deploy` and the commands about deployments."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from broker.energy import mj_from_mwh
from broker.errors import ConflictError, InvalidError, RefusedError
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit, of_deployments
from controller.cli.rollout_start import in_waves

if TYPE_CHECKING:
    from controller.cli.planning import Step

Deployment = Annotated[str, typer.Argument(metavar="ID", help="The deployment.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "deploy", example="edgewatt deploy digits_cnn_s --to line=A --energy-mj 40 --wait")(_deploy)
    deployments = group("deployments", "What was deployed, and how it stands.")
    command(deployments, "list", example="edgewatt deployments list --open")(_list)
    command(deployments, "show", example="edgewatt deployments show 01J9ZQ")(_show)
    command(deployments, "watch", example="edgewatt deployments watch 01J9ZQ")(_watch)
    command(deployments, "cancel", example="edgewatt deployments cancel 01J9ZQ --yes")(_cancel)
    app.add_typer(deployments)


def _deploy(
    console: Console,
    model: Annotated[str, typer.Argument(help="The model; none with --best.")] = "",
    *,
    to: Annotated[list[str], typer.Option(metavar="ID|KEY=VALUE", help="A device or all with a tag; repeatable.")],
    energy_mj: Annotated[float | None, typer.Option(help="The budget, mJ per inference.")] = None,
    max_energy: Annotated[float | None, typer.Option(metavar="MWH", help="The budget, mWh per 500 inferences.")] = None,
    latency_ms: Annotated[float | None, typer.Option(help="The most that 95 % of inferences may take there.")] = None,
    when_soc_min: Annotated[
        float | None, typer.Option(metavar="PCT", help="Begin when the battery has so much.")
    ] = None,
    when_charging: Annotated[bool, typer.Option("--when-charging", help="Begin while it charges.")] = False,
    when_temp_max: Annotated[float | None, typer.Option(metavar="C", help="Begin when it is no hotter.")] = None,
    when_window: Annotated[str, typer.Option(metavar="HH:MM-HH:MM", help="Begin then, by the device's clock.")] = "",
    soak: Annotated[float | None, typer.Option(metavar="SECONDS", help="Watch it so long before it counts.")] = None,
    expected: Annotated[
        bool, typer.Option("--expected", help="Compare the prediction itself, not its upper end, with the budget.")
    ] = False,
    best: Annotated[
        bool, typer.Option("--best", help="The most accurate model for each device, instead of one for all.")
    ] = False,
    min_top1: Annotated[float, typer.Option(help="With --best: the least accuracy, top-1 in %.")] = 0.0,
    labels: Annotated[int | None, typer.Option(help="With --best: only models with so many labels.")] = None,
    plan: Annotated[
        str, typer.Option(metavar="1,10%,50%,100%", help="In waves; `rollouts start` has all that can be said of them.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    only_fitting: Annotated[bool, typer.Option("--only-fitting", help="Deploy to those that fit.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Deploy against the gate; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is forced; it is kept.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow to the end; the exit code is the result's.")] = False,
    timeout: Timeout = 600.0,
) -> int:
    """Deploy a model to devices within an energy budget.

    The gate is asked for each device first. When it refuses one, nothing is deployed, and it says what would fit.
    """
    from controller.cli import planning  # noqa: PLC0415 - imported on use

    if best == bool(model):
        raise InvalidError("name a model, or say --best", code="usage", hint="edgewatt deploy --best --energy-mj 60")
    when = {"soc_min_pct": when_soc_min, "charging": when_charging or None, "temp_max_c": when_temp_max}
    terms = _terms(latency_ms, when | {"window": when_window or None}, soak)
    if best:
        from controller.cli import best as intent  # noqa: PLC0415 - imported on use

        return intent.run(
            console,
            to,
            budget_mj=_budget_mj(energy_mj, max_energy),
            demand={"min_top1": min_top1, "labels": labels, "policy": "expected" if expected else None} | terms,
            only_fitting=only_fitting,
            dry_run=dry_run,
            yes=yes,
            follow=lambda console, ids: _follow(console, ids, timeout) if wait else _show_begun(console, ids),
        )
    if force and not reason.strip():
        raise InvalidError("--force needs a --reason, which is kept with the deployment", code="usage")
    request = planning.Request(
        model=model,
        budget_mj=_budget_mj(energy_mj, max_energy),
        policy="expected" if expected else None,
        force=force,
        reason=reason,
        terms=terms,
    )
    if plan:
        return in_waves(
            console, request, to, plan, only_fitting=only_fitting, dry_run=dry_run, yes=yes, wait=wait, timeout=timeout
        )
    steps = planning.plan(console.client, request, to)
    fitting = [step for step in steps if step.allowed]
    if dry_run or (len(fitting) < len(steps) and not only_fitting) or not fitting:
        return _only_say(console, model, steps, dry_run=dry_run)
    if not console.as_json:
        console.show(None, planning.table(steps))
    if not console.agrees(f"Deploy {model} to {planning.names(fitting)}?", yes=yes):
        return Exit.INTERRUPTED
    ids, failures = planning.carry_out(console.client, request, fitting)
    for device_id, error in failures:
        console.say(f"{device_id}: {error.message}")
    if not ids:
        raise failures[0][1]
    outcome = _follow(console, ids, timeout) if wait else _show_begun(console, ids)
    return Exit.PARTLY if failures else outcome


def _only_say(console: Console, model: str, steps: "Sequence[Step]", *, dry_run: bool) -> int:
    """Print the plan; what is refused is an error unless it was only asked."""
    from controller.cli import planning  # noqa: PLC0415 - imported on use

    refused = [step for step in steps if not step.allowed]
    plan = [{"device_id": step.device_id, "device_type": step.device_type, **step.verdict} for step in steps]
    if dry_run:
        console.show({"model": model, "allowed": not refused, "devices": plan}, planning.table(steps))
    elif not console.as_json:
        console.show(None, planning.table(steps))
    if not refused:
        return Exit.DONE
    codes = {step.verdict["code"] for step in refused}
    fitting = len(steps) - len(refused)
    hint = f"deploy to the {fitting} that fit: add --only-fitting" if fitting else ""
    sentence = f"refused: {planning.refusal(steps)}"
    if dry_run:
        console.say("\n".join(filter(None, (sentence, hint))))
        return Exit.REFUSED
    raise RefusedError(sentence, code=codes.pop() if len(codes) == 1 else "over_budget", hint=hint, devices=plan)


def _show_begun(console: Console, ids: Sequence[str]) -> int:
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    begun = [_of(console, each) for each in ids]
    console.show(begun, tables.deployments(begun))
    return Exit.DONE


def _list(
    console: Console,
    *,
    device: Annotated[str, typer.Option(metavar="ID", help="Only this device's.")] = "",
    open_only: Annotated[bool, typer.Option("--open", help="Only those that still move.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
) -> None:
    """List deployments, the newest first."""
    from controller.cli import log_tables, tables  # noqa: PLC0415 - imported on use

    found = console.client.deployments(device_id=device, open_only=open_only, limit=limit)
    console.show(found, tables.deployments(found["deployments"]), log_tables.ended(found["summary"]))


def _show(console: Console, deployment: Deployment) -> None:
    """Show one deployment and its life so far."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = _of(console, deployment)
    console.show(found, *tables.deployment(found))


def _watch(console: Console, deployment: Deployment, *, timeout: Timeout = 600.0) -> int:
    """Follow a deployment to its end; the exit code is its result's."""
    return _follow(console, [deployment], timeout)


def _cancel(
    console: Console,
    deployment: Deployment,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> int | None:
    """End a deployment that still moves."""
    found = _of(console, deployment)
    if found["terminal"]:
        raise ConflictError(f"{deployment} has ended already: {found['phase']}", hint="nothing was changed")
    if not console.agrees(f"Cancel {found['model']} on {found['device_id']}?", yes=yes):
        return Exit.INTERRUPTED
    answer = console.client.cancel(deployment)
    if console.as_json:
        console.show(answer)
    console.say(f"{deployment} is being cancelled")
    return None


def _follow(console: Console, ids: Sequence[str], timeout: float) -> int:
    """Follow deployments, one line per step on stderr, and print how they ended."""
    from controller.cli import figures, tables  # noqa: PLC0415 - imported on use
    from controller.cli.following import deployment_ends  # noqa: PLC0415

    def moved(each: dict[str, Any]) -> None:
        why = f"{each.get('reason') or ''}{figures.promised(each)}".removeprefix("; ")
        console.say(f"{each['device_id']}: {each['phase']} {why}".rstrip())

    try:
        with console.busy(f"waiting for {len(ids)} deployment(s)"):
            ended, whole = deployment_ends(console.client, ids, timeout, moved)
    except KeyboardInterrupt:
        console.say(f"no longer waiting; it goes on: edgewatt deployments watch {ids[0]}")
        return Exit.INTERRUPTED
    console.show(ended, tables.deployments(ended))
    if not whole:
        console.say(f"not ended after {timeout:g} s; it goes on: edgewatt deployments watch {ids[0]}")
        return Exit.TIMED_OUT
    return of_deployments([each["phase"] for each in ended], [each.get("code") or "" for each in ended])


def _budget_mj(energy_mj: float | None, max_energy_mwh: float | None) -> float | None:
    if energy_mj is not None and max_energy_mwh is not None:
        raise InvalidError("--energy-mj and --max-energy are the same budget in two units; give one", code="usage")
    return mj_from_mwh(max_energy_mwh) if max_energy_mwh is not None else energy_mj


def _terms(latency_ms: float | None, when: dict[str, Any], soak_s: float | None) -> dict[str, Any]:
    """Return what binds a deployment besides its energy, as the client takes it."""
    given = {name: value for name, value in when.items() if value is not None}
    return {"max_latency_ms": latency_ms, "when": given or None, "soak_s": soak_s}


def _of(console: Console, deployment: str) -> dict[str, Any]:
    found: dict[str, Any] = console.client.deployment(deployment)["deployment"]
    return found
