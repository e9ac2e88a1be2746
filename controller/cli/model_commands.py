"""Commands about models, and what they would cost."""

from collections.abc import Iterable
from typing import Annotated, Literal

import typer

from broker.errors import NotFoundError
from controller.cli import file_commands, job_commands, store_commands, version_commands
from controller.cli.command import command, group
from controller.cli.console import Console

PAGE = 1_000

Order = Literal["shelf", "name", "params_m", "gmacs", "top1_pct", "energy_mj"]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    models = group("models", "Models that can be deployed.")
    command(models, "list", example="edgewatt models list --family resnet --sort gmacs")(_list)
    command(models, "show", example="edgewatt models show digits_cnn_s")(_show)
    store_commands.add_to(models)
    job_commands.add_to(app, models)
    file_commands.add_to(models)
    version_commands.add_to(models)
    app.add_typer(models)
    command(app, "predict", example="edgewatt predict digits_cnn_s --on raspberry_pi_5")(_predict)


def _list(
    console: Console,
    *,
    matching: Annotated[str, typer.Option(help="Part of the name.")] = "",
    family: Annotated[str, typer.Option(help="Only of this family, such as resnet.")] = "",
    stored: Annotated[bool, typer.Option("--stored", help="Only what is in the store.")] = False,
    popular: Annotated[bool, typer.Option("--popular", help="Only well-known ones.")] = False,
    max_params: Annotated[float | None, typer.Option(metavar="MILLIONS", help="Only so large.")] = None,
    on: Annotated[str, typer.Option(metavar="TYPE", help="With the energy predicted on a device type.")] = "",
    sort: Annotated[
        Order, typer.Option(help="`shelf`: what is stored, then what is well known, then the rest.")
    ] = "shelf",
    limit: Annotated[int, typer.Option(min=1, max=PAGE)] = 25,
    offset: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """List the models in the store and those that could be made, with their size, work and accuracy."""
    from controller.cli import model_tables  # noqa: PLC0415 - imported on use

    found = console.client.models(
        limit=limit,
        offset=offset,
        q=matching,
        family=family,
        stored=stored or None,
        popular=popular or None,
        max_params_m=max_params,
        sort=sort,
        device_type=on,
    )
    console.show(found, model_tables.models(found["models"], predicted=bool(on)))
    shown = offset + len(found["models"])
    if not console.as_json and found["total"] > shown:
        console.say(f"{found['total'] - shown:,} more: --offset {shown}, or say which: --matching, --family, --stored")


def _show(console: Console, model: str) -> None:
    """Show everything known of one model, stored or not."""
    from controller.cli import model_tables  # noqa: PLC0415 - imported on use

    found = console.client.model(model)["model"]
    console.show(found, *model_tables.model(found))


def _predict(
    console: Console,
    model: str,
    *,
    on: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE|ID", help="A device type or a device; all of the fleet's when absent."),
    ] = None,
    rate_hz: Annotated[
        float | None, typer.Option(help="Tell what so many inferences per second mean for the battery of a device.")
    ] = None,
    battery_wh: Annotated[float | None, typer.Option(help="Its battery, when the device does not say, Wh.")] = None,
    solar_wh: Annotated[float | None, typer.Option(help="The sun of a day, Wh.")] = None,
) -> None:
    """Predict what one inference of a model costs, with a 95 % interval."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    places = _places(console, on or [])
    answers = console.client.predict_energy([{"model_name": model, **asked} for asked in places.values()])["data"]
    drawn = tables.predictions(zip(places, answers, strict=True))
    if rate_hz is None:
        console.show(answers, drawn)
        return
    from controller.cli import advice_tables  # noqa: PLC0415 - imported on use

    sources = {"battery_wh": battery_wh, "solar_wh_per_day": solar_wh}
    outlooks = [console.client.battery(name, model, rate_hz=rate_hz, **sources) for name in on or []]
    console.show({"predictions": answers, "batteries": outlooks}, drawn, advice_tables.batteries(outlooks))


def _places(console: Console, named: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return what to ask for each place in `named`; a device that was never calibrated is one of its board's type."""
    devices = {each["id"]: each for each in console.client.devices(limit=PAGE)["devices"]}
    places = list(named) or sorted({each["device_type"] for each in devices.values()})
    if not places:
        raise NotFoundError("there are no devices yet", hint="name a board: --on raspberry_pi_5")
    asked: dict[str, dict[str, str]] = {}
    for name in places:
        if name in devices and devices[name].get("calibration"):
            asked[name] = {"device_type": devices[name]["device_type"], "device_id": name}
        else:
            board = devices[name]["device_type"] if name in devices else name
            asked[board] = {"device_type": board}
    return asked
