"""Commands about rollouts: start, watch, steer."""

from typing import Annotated

import typer

from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit
from controller.cli.rollout_following import Document, devices, follow, showing
from controller.cli.rollout_start import start

RolloutId = Annotated[str, typer.Argument(metavar="ID", help="The rollout.")]
Timeout = Annotated[float, typer.Option(help="Seconds to wait at most.", min=0)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    rollouts = group("rollouts", "A model for many devices, in waves.")
    example = "edgewatt rollouts start digits_cnn_s --to line=A --energy-mj 40 --watch-s 300 --on-breach roll_back_all"
    command(rollouts, "start", example=example)(start)
    command(rollouts, "list", example="edgewatt rollouts list --open")(_list)
    command(rollouts, "show", example="edgewatt rollouts show ID --standing failed")(_show)
    command(rollouts, "watch", example="edgewatt rollouts watch ID")(_watch)
    command(rollouts, "pause", example="edgewatt rollouts pause ID --reason 'look at pi5-2 first'")(_pause)
    command(rollouts, "resume", example="edgewatt rollouts resume ID --yes")(_resume)
    command(rollouts, "abort", example="edgewatt rollouts abort ID --roll-back --yes")(_abort)
    command(rollouts, "retry", example="edgewatt rollouts retry ID --yes --wait")(_retry)
    app.add_typer(rollouts)


def _list(
    console: Console,
    *,
    open_only: Annotated[bool, typer.Option("--open", help="Only those that still move.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 25,
) -> None:
    """List rollouts, the newest first."""
    from controller.cli import rollout_tables  # noqa: PLC0415 - imported on use

    found = console.client.rollouts(open_only=open_only, limit=limit)
    console.show(found, rollout_tables.rollouts(found["rollouts"]))


def _show(
    console: Console,
    rollout: RolloutId,
    *,
    standing: Annotated[str, typer.Option(help="Only devices that stand so: failed, away, done …")] = "",
    limit: Annotated[int, typer.Option(min=0, max=1_000)] = 25,
    offset: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Show a rollout: its waves, its devices with failures first, and what it costs before and after."""
    from controller.cli import rollout_tables  # noqa: PLC0415 - imported on use

    found = console.client.rollout(rollout, standing=standing, limit=limit, offset=offset)
    console.show(found, *rollout_tables.whole(found))


def _watch(console: Console, rollout: RolloutId, *, timeout: Timeout = 86_400.0) -> int:
    """Follow a rollout to its end; the exit code is its result's. With --json one object per line."""
    return follow(console, rollout, timeout, each_line=True)


def _pause(console: Console, rollout: RolloutId, *, reason: Reason = "") -> int:
    """Let no further device begin; what is under way goes on."""
    return showing(console, console.client.pause_rollout(rollout, reason=reason)["rollout"])


def _resume(console: Console, rollout: RolloutId, *, yes: Yes = False) -> int:
    """Let it go on; what went wrong so far no longer counts against it."""
    found = _of(console, rollout)
    if found["code"] == "breach" and not console.agrees(f"{found['reason']}. Go on all the same?", yes=yes):
        return Exit.INTERRUPTED
    return showing(console, console.client.resume_rollout(rollout)["rollout"])


def _abort(
    console: Console,
    rollout: RolloutId,
    *,
    roll_back: Annotated[bool, typer.Option("--roll-back", help="Take the model from those that have it.")] = False,
    reason: Reason = "",
    yes: Yes = False,
) -> int:
    """End a rollout, and what is under way; devices that are done keep the model unless --roll-back."""
    found = _of(console, rollout)
    have = sum(found["counts"].get(name, 0) for name in ("done", "breached"))
    fate = "returns to the model before" if roll_back else "keeps the new model"
    if not found["terminal"] and not console.agrees(
        f"End {rollout}? Each of the {devices(have)} that have it {fate}.", yes=yes
    ):
        return Exit.INTERRUPTED
    return showing(console, console.client.abort_rollout(rollout, reason=reason, roll_back=roll_back)["rollout"])


def _retry(
    console: Console,
    rollout: RolloutId,
    *,
    yes: Yes = False,
    wait: Annotated[bool, typer.Option("--wait", help="Follow to the end; the exit code is the result's.")] = False,
    timeout: Timeout = 86_400.0,
) -> int:
    """Let devices that failed try again: here while it is open, else in a new rollout."""
    failed = _of(console, rollout)["counts"].get("failed", 0)
    if failed and not console.agrees(f"Try again on {devices(failed)}?", yes=yes):
        return Exit.INTERRUPTED
    again = console.client.retry_rollout(rollout)
    console.say(f"watch it: edgewatt rollouts watch {again['rollout_id']}")
    return follow(console, again["rollout_id"], timeout) if wait else showing(console, again["rollout"])


def _of(console: Console, rollout: str) -> Document:
    found: Document = console.client.rollout(rollout, limit=0)["rollout"]
    return found
