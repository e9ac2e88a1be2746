"""`edgewatt deploy --best`: the most accurate model for each device instead of one for all."""

from collections.abc import Callable, Sequence
from typing import Any

from broker.errors import InvalidError, RefusedError
from controller.cli import advice_tables, planning
from controller.cli.console import Console
from controller.cli.exits import Exit

Follow = Callable[[Console, Sequence[str]], int]


def run(
    console: Console,
    named: Sequence[str],
    *,
    budget_mj: float | None,
    demand: dict[str, Any],
    only_fitting: bool,
    dry_run: bool,
    yes: bool,
    follow: Follow,
) -> int:
    """Show which model each device would get, ask, deploy, and hand the deployments' ids to `follow`.

    Raises InvalidError without a budget, RefusedError when some device gets none and `only_fitting` was not said.
    """
    if budget_mj is None:
        raise InvalidError("--best needs a budget", code="usage", hint="add --energy-mj 60")
    ids = [each["id"] for each in planning.targets(console.client, named)]
    asked = demand | {"device_ids": ids, "max_energy_mj": budget_mj}
    chosen = console.client.deploy_best(**asked, dry_run=True)["devices"]
    fitting = [each for each in chosen if each["allowed"]]
    without = [each for each in chosen if not each["allowed"]]
    if dry_run:
        console.show({"allowed": not without, "devices": chosen}, advice_tables.best(chosen))
        return Exit.REFUSED if without else Exit.DONE
    if not console.as_json:
        console.show(None, advice_tables.best(chosen))
    if not fitting or (without and not only_fitting):
        hint = f"deploy to the {len(fitting)} that get one: add --only-fitting" if fitting else without[0]["reason"]
        raise RefusedError(f"{len(without)} of {len(chosen)} devices get no model", hint=hint, devices=chosen)
    names = ", ".join(f"{each['model']} to {each['device_id']}" for each in fitting)
    if not console.agrees(f"Deploy {names}?", yes=yes):
        return Exit.INTERRUPTED
    return _carry_out(console, asked | {"device_ids": [each["device_id"] for each in fitting]}, follow)


def _carry_out(console: Console, asked: dict[str, Any], follow: Follow) -> int:
    done = console.client.deploy_best(**asked)["devices"]
    for each in done:
        if not each["deployment_id"]:
            console.say(f"{each['device_id']}: {each['reason']}")
    begun = [each["deployment_id"] for each in done if each["deployment_id"]]
    outcome = follow(console, begun)
    return outcome if len(begun) == len(done) else Exit.PARTLY
