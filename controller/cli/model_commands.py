"""Commands about models, and what they would cost."""

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from broker.errors import NotFoundError
from controller.cli.command import command, group
from controller.cli.console import Console

PAGE = 1_000


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    models = group("models", "Models that can be deployed.")
    command(models, "list", example="edgewatt models list")(_list)
    command(models, "show", example="edgewatt models show digits_cnn_s")(_show)
    app.add_typer(models)
    command(app, "predict", example="edgewatt predict digits_cnn_s --on raspberry_pi_5")(_predict)


def find_model(console: Console, name: str) -> dict[str, Any]:
    """Return the model `name`. Raises NotFoundError with the nearest names."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a wrong name needs it

    known: dict[str, dict[str, Any]] = {each["name"]: each for each in console.client.models(limit=PAGE)["models"]}
    if name not in known:
        near = ", ".join(get_close_matches(name, known, cutoff=0.4)) or "see `edgewatt models list`"
        raise NotFoundError(f"there is no model '{name}'", code="unknown_model", hint=f"nearest: {near}")
    return known[name]


def _list(
    console: Console,
    *,
    matching: Annotated[str, typer.Option(help="Part of the name.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=PAGE)] = 100,
) -> None:
    """List the models with their size, work and accuracy."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = console.client.models(limit=limit, q=matching)
    console.show(found, tables.models(found["models"]))
    if not console.as_json and found["total"] > len(found["models"]):
        console.say(f"{found['total'] - len(found['models'])} more: --limit {found['total']}")


def _show(console: Console, model: str) -> None:
    """Show everything known of one model."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = find_model(console, model)
    console.show(found, tables.model(found))


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
