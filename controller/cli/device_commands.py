"""Commands about single devices: look, watch, measure, start, stop, roll back, forget."""

import json
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from broker.errors import InvalidError
from controller.cli import calibration_commands, enrolment_commands
from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit

PAGE = 1_000
Health = Literal["live", "late", "silent", "asleep", "offline", "never_seen"]
Device = Annotated[str, typer.Argument(metavar="ID", help="The device.")]
Every = Annotated[float, typer.Option(help="Seconds between looks.", min=0.1)]
Rounds = Annotated[int, typer.Option(help="End after so many looks; 0 goes on until Ctrl-C.", min=0)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    devices = group("devices", "The devices of the fleet.")
    command(devices, "list", example="edgewatt devices list --tag line=A --health live")(_list)
    command(devices, "show", example="edgewatt devices show pi5-1")(_show)
    command(devices, "watch", example="edgewatt devices watch pi5-1")(_watch)
    command(devices, "messages", example="edgewatt devices messages pi5-1")(_messages)
    command(devices, "logs", example="edgewatt devices logs pi5-1")(_logs)
    command(devices, "measure", example="edgewatt devices measure pi5-1 digits_cnn_s")(_measure)
    command(devices, "configure", example="edgewatt devices configure pi5-1 '{\"rate\": 2}'")(_configure)
    command(devices, "rollback", example="edgewatt devices rollback pi5-1 --yes")(_rollback)
    command(devices, "start", example="edgewatt devices start pi5-1")(_start)
    command(devices, "stop", example="edgewatt devices stop pi5-1 --yes")(_stop)
    command(devices, "ping", example="edgewatt devices ping pi5-1")(_ping)
    command(devices, "approve", example="edgewatt devices approve pi5-7 --yes")(_approve)
    command(devices, "forget", example="edgewatt devices forget pi5-1 --yes")(_forget)
    calibration_commands.add_to_devices(devices)
    enrolment_commands.add_to_devices(devices)
    app.add_typer(devices)


def _list(
    console: Console,
    *,
    matching: Annotated[str, typer.Option(help="Part of the id or the board.")] = "",
    health: Annotated[Health | None, typer.Option(help="Only these.")] = None,
    tag: Annotated[str, typer.Option(metavar="KEY=VALUE", help="Only devices with this tag.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=PAGE)] = 100,
) -> None:
    """List devices with health, model, energy and the age of their last reading."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = console.client.devices(limit=limit, q=matching, health=health or "", tag=tag)
    console.show(found, tables.devices(found["devices"]))
    if not console.as_json and found["total"] > len(found["devices"]):
        console.say(f"{found['total'] - len(found['devices'])} more: --limit {found['total']}")


def _show(console: Console, device: Device) -> None:
    """Show one device: what it is, what it does, what happened to it."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = console.client.device(device)["device"]
    console.show(found, *tables.device(found))


def _watch(
    console: Console,
    device: Annotated[str, typer.Argument(metavar="[ID]", help="One device; all when absent.")] = "",
    *,
    every: Every = 2.0,
    rounds: Rounds = 0,
) -> None:
    """Print a line per device and look, until Ctrl-C."""
    looks = 0
    while True:
        found = [console.client.device(device)["device"]] if device else console.client.devices(limit=PAGE)["devices"]
        for each in found:
            console.line(each, _one_line(each))
        looks += 1
        if looks == rounds:
            return
        time.sleep(every)


def _messages(console: Console, device: Device) -> None:
    """Show the newest messages of a device per topic, with what was wrong with them."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = console.client.device(device)["device"]["messages"]
    console.show(found, tables.messages(found))


def _logs(
    console: Console,
    device: Device,
    *,
    limit: Annotated[int, typer.Option(min=1, max=PAGE)] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    every: Every = 2.0,
) -> None:
    """Show the newest lines of a device's own log; what happened to it: edgewatt events list --device ID."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    console.client.device(device)  # an id that is none is answered with the nearest
    asked = {"device_id": device, "kind": "log"}
    found = console.client.logs(limit=limit, **asked)["logs"]
    if not follow:
        console.show(found, tables.logs(found))
        return
    after, found = max((each["id"] for each in found), default=0), found[::-1]
    while True:
        for each in found:
            console.line(each, "  ".join(next(iter(tables.logs([each]).rows))))
            after = each["id"]
        time.sleep(every)
        found = console.client.logs(limit=PAGE, after=str(after), **asked)["logs"]


def _measure(
    console: Console,
    device: Device,
    model: Annotated[str, typer.Argument(help="What to measure; the active model when absent.")] = "",
    *,
    within: Annotated[float, typer.Option(help="Seconds to wait for the result.", min=0)] = 120.0,
) -> int:
    """Measure a model on a device: latency and energy of real inferences there."""
    return _awaited(console, console.client.benchmark(device, model), within, f"measuring on {device}")


def _configure(
    console: Console,
    device: Device,
    settings: Annotated[str, typer.Argument(help="What to change, as JSON; or @FILE.")],
    *,
    within: Annotated[float, typer.Option(help="Seconds to wait for the answer.", min=0)] = 15.0,
) -> int:
    """Change a device's rate, telemetry interval or power governor, and wait for its answer."""
    changes = read_settings(settings)
    return _awaited(console, console.client.command(device, "config", config=changes), within, f"waiting for {device}")


def read_settings(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`, or in the file that `@FILE` names; raises InvalidError."""
    try:
        found = json.loads(Path(text[1:]).read_text("utf-8") if text.startswith("@") else text)
    except (OSError, ValueError) as error:
        said = f"the settings are no JSON: {error}"
        raise InvalidError(said, code="usage", hint="""write '{"rate": 2}', or @FILE""") from None
    if not isinstance(found, dict) or not found:
        raise InvalidError("the settings are no JSON object", code="usage", hint="""write '{"rate": 2}', or @FILE""")
    return found


def _rollback(console: Console, device: Device, *, yes: Yes = False) -> int | None:
    """Return a device to the model that it ran before."""
    if not console.agrees(f"Roll {device} back to its previous model?", yes=yes):
        return Exit.INTERRUPTED
    _asked(console, console.client.rollback(device), f"{device} was asked to roll back")
    return None


def _start(console: Console, device: Device) -> int | None:
    """Let the active model of a device run again."""
    _asked(console, console.client.start(device), f"{device} was asked to start")
    return None


def _stop(console: Console, device: Device, *, yes: Yes = False) -> int | None:
    """Pause the active model of a device; it stays there."""
    if not console.agrees(f"Stop the model on {device}?", yes=yes):
        return Exit.INTERRUPTED
    _asked(console, console.client.stop(device), f"{device} was asked to stop")
    return None


def _ping(
    console: Console, device: Device, *, within: Annotated[float, typer.Option(help="Seconds to wait.", min=0)] = 10.0
) -> int:
    """Ask a device for a sign of life over MQTT and wait for its answer."""
    return _awaited(console, console.client.command(device, "ping"), within, f"waiting for {device}")


def _approve(console: Console, device: Device, *, yes: Yes = False) -> int | None:
    """Let a device that registered itself take deployments, where the controller asks a person first."""
    if not console.agrees(f"Let {device} take deployments?", yes=yes):
        return Exit.INTERRUPTED
    _asked(console, console.client.approve(device), f"{device} may take deployments")
    return None


def _forget(console: Console, device: Device, *, yes: Yes = False) -> int | None:
    """Remove a device and its retained messages; it comes back when it speaks again."""
    what = f"Forget {device}, what it measured and its calibration? The log and its deployments stay."
    if not console.agrees(what, yes=yes):
        return Exit.INTERRUPTED
    _asked(console, console.client.forget(device), f"{device} is forgotten")
    return None


def _asked(console: Console, answer: dict[str, Any], text: str) -> None:
    from controller.cli import figures  # noqa: PLC0415 - imported on use

    if console.as_json:
        console.show(answer)
    else:
        console.say(f"{text}{figures.promised(answer)}")


def _awaited(console: Console, answer: dict[str, Any], within_s: float, doing: str) -> int:
    """Follow a command to its end and print its result."""
    from controller.cli import figures  # noqa: PLC0415
    from controller.cli.following import command_end  # noqa: PLC0415 - imported on use

    if answer.get("will_apply_at") is not None:
        console.say(f"{doing}: it sleeps{figures.promised(answer)}")
    with console.busy(doing):
        ended = command_end(console.client, answer["command_id"], within_s)
    if ended is None:
        console.say(f"no end after {within_s:g} s; it goes on as {answer['command_id']}")
        return Exit.TIMED_OUT
    ack = ended.get("ack") or {}
    why = (ack.get("error") or {}).get("msg") or ack.get("reason") or ""
    facts = [f"{key}: {value}" for key, value in (ack.get("result") or {}).items()]
    console.line(ended, "\n".join([f"{ended['state']} {why}".rstrip(), *facts]))
    return Exit.DONE if ended["state"] == "succeeded" else Exit.FAILED


def _one_line(device: dict[str, Any]) -> str:
    from controller.cli import figures  # noqa: PLC0415 - imported on use

    latest, budget = device.get("latest") or {}, device.get("budget") or {}
    energy, latency = latest.get("energy") or {}, latest.get("latency_ms") or {}
    parts = (
        figures.clock(time.time()),
        device["id"],
        device["health"],
        figures.text(device.get("runs") or (device.get("active") or {}).get("model")),
        f"{figures.mj(energy.get('energy_mj'))} ({figures.text(energy.get('source'))})",
        f"budget {figures.mj(budget.get('energy_mj'))} {figures.text(budget.get('status'))}",
        f"p95 {figures.number(latency.get('p95'), 'ms')}",
        figures.number(latest.get("temperature_c"), "°C"),
    )
    return "  ".join(parts)
