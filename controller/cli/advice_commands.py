"""`edgewatt pareto`, `explain` and `plan`: which model for which board, why, and for a whole fleet."""

from typing import Annotated, Any

import typer

from broker.errors import NotFoundError
from controller.cli.command import command
from controller.cli.console import Console
from controller.cli.exits import Exit

To = Annotated[list[str] | None, typer.Option(metavar="ID|KEY=VALUE", help="A device or all with a tag; repeatable.")]
Labels = Annotated[int | None, typer.Option(help="Only models with so many labels, where there are several kinds.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "pareto", example="edgewatt pareto --board raspberry_pi_5")(_pareto)
    command(app, "explain", example="edgewatt explain digits_cnn_l --on raspberry_pi_4")(_explain)
    command(app, "plan", example="edgewatt plan --energy-wh-per-day 20 --min-top1 90 --to line=A")(_plan)


def _pareto(
    console: Console,
    *,
    board: Annotated[list[str] | None, typer.Option(metavar="TYPE", help="A device type; all of the fleet's.")] = None,
    published: Annotated[
        bool, typer.Option("--published", help="With the networks of the measured literature, for orientation.")
    ] = False,
    listed: Annotated[
        bool, typer.Option("--listed", help="With the networks that could be made; of these, only who is not beaten.")
    ] = False,
) -> None:
    """Show which models no other one beats on accuracy, energy and latency, and who beats the rest."""
    from controller.cli import advice_tables  # noqa: PLC0415 - imported on use

    kinds = board or _boards(console)
    found = [console.client.pareto(kind, published=published, listed=listed) for kind in kinds]
    tables = [table for each in found for table in advice_tables.pareto(each, brief=listed)]
    console.show(found if len(found) > 1 else found[0], *tables)


def _explain(
    console: Console,
    model: str,
    *,
    on: Annotated[str, typer.Option(metavar="TYPE|ID", help="A device type, or a device.")],
) -> None:
    """Tell why a model is predicted to cost what it is, and what would cost less."""
    from controller.cli import advice_tables  # noqa: PLC0415 - imported on use

    types = {each["id"]: each["device_type"] for each in console.client.devices(limit=1_000)["devices"]}
    found = console.client.explain(model, types.get(on) or on)
    console.show(found, *advice_tables.explanation(found))


def _plan(
    console: Console,
    *,
    energy_wh_per_day: Annotated[float, typer.Option(help="For the inferences of all devices together, Wh a day.")],
    min_top1: Annotated[float, typer.Option(help="The least accuracy, top-1 in %.")] = 0.0,
    rate_hz: Annotated[float, typer.Option(help="Inferences per second of each device.")] = 1.0,
    to: To = None,
    labels: Labels = None,
    expected: Annotated[
        bool, typer.Option("--expected", help="Count the prediction itself, not its upper end.")
    ] = False,
) -> int:
    """Plan which model goes to which device, for the highest mean accuracy within an energy per day.

    Nothing is deployed; the plan ends with the commands that would.
    """
    from controller.cli import advice_tables, planning  # noqa: PLC0415 - imported on use

    asked: dict[str, Any] = {"energy_wh_per_day": energy_wh_per_day, "min_top1": min_top1, "rate_hz": rate_hz}
    asked |= {"labels": labels, "policy": "expected" if expected else None}
    if to:
        asked["device_ids"] = [each["id"] for each in planning.targets(console.client, to)]
    found = console.client.plan(**asked)
    console.show(found, *advice_tables.plan(found))
    console.say(found["sentence"])
    if not found["feasible"]:
        return Exit.REFUSED
    return Exit.PARTLY if found["left_out"] else Exit.DONE


def _boards(console: Console) -> list[str]:
    """Return the device types of the fleet. Raises NotFoundError for an empty one."""
    found = sorted({each["device_type"] for each in console.client.devices(limit=1_000)["devices"]} - {None})
    if not found:
        raise NotFoundError("there are no devices yet", hint="name a board: --board raspberry_pi_5")
    return found
