"""Commands about alerts: what is open, who has seen it, what is not to be heard for a while."""

from typing import Annotated

import typer

from controller.cli import alert_rule_commands
from controller.cli.command import command, group
from controller.cli.console import Console

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert: RULE@DEVICE, such as too-hot@pi5-1.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    alerts = group("alerts", "What needs somebody, and the rules by which that is found.")
    command(alerts, "list", example="edgewatt alerts list --severity critical")(_list)
    command(alerts, "ack", example="edgewatt alerts ack too-hot@pi5-1 --note 'a fan is ordered'")(_ack)
    command(alerts, "silence", example="edgewatt alerts silence too-hot@pi5-1 --for 2h --why 'its roof is mended'")(
        _silence
    )
    command(alerts, "silences", example="edgewatt alerts silences")(_silences)
    command(alerts, "unsilence", example="edgewatt alerts unsilence ID")(_unsilence)
    alert_rule_commands.add_to(alerts)
    app.add_typer(alerts)


def _list(
    console: Console,
    *,
    acknowledged: Annotated[bool, typer.Option("--acknowledged", help="Those open that somebody has seen.")] = False,
    silenced: Annotated[bool, typer.Option("--silenced", help="Those open of which no notice is sent.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Pending, without data, and resolved ones too.")] = False,
    state: Annotated[str, typer.Option(help="Only in this state: pending, firing, no_data, resolved.")] = "",
    severity: Annotated[str, typer.Option(help="Only of this severity: critical, warning.")] = "",
    device: Annotated[str, typer.Option(metavar="ID", help="Only of this device.")] = "",
    rule: Annotated[str, typer.Option(metavar="NAME", help="Only by this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000)] = 50,
    offset: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """List alerts that are open and that nobody has seen or silenced, the worst first."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    chosen = {"all": everything, "acknowledged": acknowledged, "silenced": silenced}
    view = next((name for name, asked in chosen.items() if asked), "open")
    wanted = {"view": view, "state": state, "severity": severity, "device_id": device, "rule": rule}
    found = console.client.alerts(**wanted, limit=limit, offset=offset)
    console.show(found, alert_tables.alerts(found["alerts"]))
    if not console.as_json:
        console.say(alert_tables.summary(found))


def _ack(
    console: Console,
    alert: AlertId,
    *,
    note: Annotated[str, typer.Option(help="What you say of it; it is kept.")] = "",
) -> None:
    """Say that you have seen an open alert; it stays open until a reading says that it is over."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    found = console.client.ack_alert(alert, note=note)
    console.show(found, alert_tables.alerts([found["alert"]]))


def _silence(
    console: Console,
    alert: AlertId,
    *,
    for_: Annotated[str, typer.Option("--for", metavar="SPAN", help="How long: 90min, 2h, 1d.")],
    why: Annotated[str, typer.Option(help="Why; it is kept.")] = "",
    whole_device: Annotated[bool, typer.Option("--device", help="Every alert of its device.")] = False,
    everywhere: Annotated[bool, typer.Option("--rule", help="Its rule, on every device.")] = False,
) -> None:
    """Send no notices of an alert for a while; it runs on, and what is open at the end is told."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use
    from controller.times import seconds  # noqa: PLC0415

    reach = "device" if whole_device else "rule" if everywhere else "alert"
    found = console.client.silence_alert(alert, for_s=seconds(for_, "--for"), why=why, reach=reach)
    console.show(found, alert_tables.silences([found["silence"]]))


def _silences(console: Console) -> None:
    """List what is silenced now, the first to end first."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    found = console.client.silences()
    console.show(found, alert_tables.silences(found["silences"]))


def _unsilence(
    console: Console, silence: Annotated[str, typer.Argument(metavar="ID", help="The silence's id.")]
) -> None:
    """End a silence before its time."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    found = console.client.end_silence(silence)
    console.show(found, alert_tables.silences([found["silence"]]))
