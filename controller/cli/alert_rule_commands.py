"""Commands about the rules of alerts: read, try on the past, make, change, remove."""

from typing import Annotated, Any, Literal

import typer

from controller.cli.command import command, group
from controller.cli.console import Console
from controller.cli.exits import Exit

RuleName = Annotated[str, typer.Argument(metavar="NAME", help="The rule.")]
Watched = Annotated[str, typer.Option(help="What is watched; `edgewatt alerts rules list` names them.")]
Above = Annotated[float | None, typer.Option(help="An alert when it is more than this.")]
Below = Annotated[float | None, typer.Option(help="An alert when it is less than this.")]
Clear = Annotated[float | None, typer.Option(help="It ends only once it is back to this.")]
For = Annotated[str, typer.Option("--for", metavar="SPAN", help="An alert once it lasted so long: 60s, 5min.")]
ClearFor = Annotated[str, typer.Option("--clear-for", metavar="SPAN", help="It ends once all was well for so long.")]
Devices = Annotated[list[str] | None, typer.Option("--device", metavar="ID", help="Only this device; may be repeated.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Only with this tag; repeatable.")]
Boards = Annotated[list[str] | None, typer.Option("--board", help="Only of this type of device; may be repeated.")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only such energies: measured, modelled, simulated; repeatable.")
]
Severity = Annotated[Literal["warning", "critical"] | None, typer.Option(help="How bad it is.")]


def add_to(alerts: typer.Typer) -> None:
    """Add the commands below `alerts`."""
    rules = group("rules", "The rules by which alerts are found.")
    command(rules, "list", example="edgewatt alerts rules list")(_list)
    command(rules, "show", example="edgewatt alerts rules show too-hot")(_show)
    command(rules, "preview", example="edgewatt alerts rules preview --quantity temperature_c --above 70 --for 60s")(
        _preview
    )
    command(rules, "set", example="edgewatt alerts rules set warm --quantity temperature_c --above 70 --clear 65")(_set)
    command(rules, "remove", example="edgewatt alerts rules remove warm --yes")(_remove)
    alerts.add_typer(rules)


def _list(console: Console) -> None:
    """List the rules with on how many devices they stand how, and what can be watched."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    found = console.client.alert_rules()
    console.show(found, alert_tables.rules(found["rules"]), alert_tables.quantities(found["quantities"]))


def _show(console: Console, rule: RuleName) -> None:
    """Show one rule, with its reason and what to do."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    found = console.client.alert_rule(rule)
    console.show(found, alert_tables.rule(found["rule"]))


def _preview(
    console: Console,
    rule: Annotated[str, typer.Argument(metavar="[NAME]", help="Begin with this rule.")] = "",
    *,
    quantity: Watched = "",
    above: Above = None,
    below: Below = None,
    clear: Clear = None,
    for_: For = "",
    clear_for: ClearFor = "",
    device: Devices = None,
    tag: Tags = None,
    device_type: Boards = None,
    energies: Kinds = None,
    days: Annotated[float, typer.Option(help="How far to look back.", min=0.01, max=31)] = 7.0,
) -> None:
    """Say how often a rule would have fired, by the readings that are kept; nothing is changed."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    changed = _fields(quantity, above=above, below=below, clear=clear, for_=for_, clear_for=clear_for)
    changed |= _reach(device, tag, device_type, energies)
    found = console.client.preview_alert_rule(days=days, **_whole(_before(console, rule) | changed))
    console.show(found, *alert_tables.preview(found))


def _set(
    console: Console,
    rule: RuleName,
    *,
    quantity: Watched = "",
    above: Above = None,
    below: Below = None,
    clear: Clear = None,
    for_: For = "",
    clear_for: ClearFor = "",
    severity: Severity = None,
    device: Devices = None,
    tag: Tags = None,
    device_type: Boards = None,
    energies: Kinds = None,
    says: Annotated[str | None, typer.Option(help="Why this is watched.")] = None,
    advice: Annotated[str | None, typer.Option(help="What to do then.")] = None,
    runbook: Annotated[str | None, typer.Option(metavar="URL", help="Where that is told at length.")] = None,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Switch it on or off.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what it would say of the last week.")] = False,
) -> None:
    """Make a rule, or change one; of a rule that is there what is not given stays."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    texts = {"severity": severity, "says": says, "advice": advice, "runbook": runbook, "enabled": on}
    changed = _fields(quantity, above=above, below=below, clear=clear, for_=for_, clear_for=clear_for) | _reach(
        device, tag, device_type, energies
    )
    changed |= {field: value for field, value in texts.items() if value is not None}
    wanted = _whole(_before(console, rule, known=True) | changed)
    if dry_run:
        found = console.client.preview_alert_rule(**wanted)
        console.show(found, *alert_tables.preview(found))
        return
    made = console.client.put_alert_rule(rule, **wanted)
    console.show(made, alert_tables.rule(made["rule"]))


def _remove(
    console: Console, rule: RuleName, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> int:
    """Remove a rule of yours, with its alerts; one of EdgeWatt is as it comes again."""
    from controller.cli import alert_tables  # noqa: PLC0415 - imported on use

    ours = console.client.alert_rule(rule)["rule"]["built_in"]
    what = f"Let {rule} be as it comes?" if ours else f"Remove {rule} and its alerts?"
    if not console.agrees(what, yes=yes):
        return Exit.INTERRUPTED
    found = console.client.remove_alert_rule(rule)
    left = found["rule"] or found["removed"]
    console.show(found, alert_tables.rule(left))
    return Exit.DONE


def _fields(
    quantity: str, *, above: float | None, below: float | None, clear: float | None, for_: str, clear_for: str
) -> dict[str, Any]:
    """Return what of a rule was given. Raises InvalidError."""
    from broker.errors import InvalidError  # noqa: PLC0415 - imported on use
    from controller.times import seconds  # noqa: PLC0415

    if above is not None and below is not None:
        raise InvalidError("--above and --below are two rules", hint="give one of them", field="--above")
    given: dict[str, Any] = {"quantity": quantity or None, "clear": clear}
    given |= {"for_s": seconds(for_, "--for") if for_ else None}
    given |= {"clear_for_s": seconds(clear_for, "--clear-for") if clear_for else None}
    if above is not None or below is not None:
        given |= {"comparison": "<" if above is None else ">", "threshold": below if above is None else above}
    return {field: value for field, value in given.items() if value is not None}


def _whole(fields: dict[str, Any]) -> dict[str, Any]:
    """Return `fields` if they make a rule. Raises InvalidError."""
    from broker.errors import InvalidError  # noqa: PLC0415 - imported on use

    if not {"quantity", "threshold"} <= fields.keys():
        hint = "`edgewatt alerts rules list` names what can be watched"
        raise InvalidError("a new rule needs --quantity, and --above or --below", hint=hint, field="--quantity")
    return fields


def _reach(
    device: list[str] | None, tag: list[str] | None, device_type: list[str] | None, kind: list[str] | None
) -> dict[str, Any]:
    given = {"device_ids": device, "tags": tag, "device_types": device_type, "kinds": kind}
    return {field: value for field, value in given.items() if value}


def _before(console: Console, name: str, *, known: bool = False) -> dict[str, Any]:
    """Return the fields of a rule that is there; none for a new one (`known`: its name need not be there yet)."""
    from broker.errors import NotFoundError  # noqa: PLC0415 - imported on use
    from controller.client.alerts import rule_fields  # noqa: PLC0415

    if not name:
        return {}
    try:
        return rule_fields(console.client.alert_rule(name)["rule"])
    except NotFoundError:
        if not known:
            raise
        return {}
