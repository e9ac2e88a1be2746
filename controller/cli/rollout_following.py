"""How a rollout is followed and shown on the command line."""

from typing import Any

from controller.cli.console import Console
from controller.cli.exits import Exit, of_rollout

Document = dict[str, Any]


def follow(console: Console, rollout_id: str, timeout: float, *, each_line: bool = False) -> int:
    """Follow a rollout and print how it stands then; one object per line with JSON and `each_line`."""
    from controller.cli import rollout_tables  # noqa: PLC0415 - imported on use
    from controller.cli.following import rollout_end  # noqa: PLC0415

    lines = each_line and console.as_json
    try:
        with console.progress(rollout_id) as told:

            def moved(each: Document) -> None:
                if lines:
                    console.line(each, "")
                told(rollout_tables.share(each), rollout_tables.sentence(each))

            now, whole = rollout_end(console.client, rollout_id, timeout, moved)
    except KeyboardInterrupt:
        console.say(f"no longer waiting; it goes on: edgewatt rollouts watch {rollout_id}")
        return Exit.INTERRUPTED
    if not lines:
        console.show(now, *rollout_tables.rollout(now))
    if not whole:
        console.say(f"not ended after {timeout:g} s; it goes on: edgewatt rollouts watch {rollout_id}")
        return Exit.TIMED_OUT
    if not now["terminal"]:
        console.say(f"it is paused and waits for a person: edgewatt rollouts resume {rollout_id}, or abort")
    return of_rollout(now)


def showing(console: Console, rollout: Document) -> int:
    """Print a rollout that is not followed."""
    from controller.cli import rollout_tables  # noqa: PLC0415 - imported on use

    console.show(rollout, *rollout_tables.rollout(rollout))
    return Exit.DONE


def devices(number: int) -> str:
    """Return a number of devices in words."""
    return f"{number} device{'' if number == 1 else 's'}"
