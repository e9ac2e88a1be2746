"""What a deployment would do, asked before it is done: which devices, and what the gate says of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from broker.errors import EdgeWattError, NotFoundError
from controller.cli.console import Table
from controller.cli.figures import interval, mj
from controller.client import Client

PAGE = 1_000
NAMED = 2
NAMED_ASKING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A model within a budget (mJ per inference), and how the gate is to be asked for it.

    `terms` are `max_latency_ms`, `when` and `soak_s` as the client takes them.
    """

    model: str
    budget_mj: float | None = None
    policy: str | None = None
    force: bool = False
    reason: str = ""
    terms: Mapping[str, Any] = field(default_factory=dict)

    def send(self, client: Client, device_id: str, *, dry_run: bool = False) -> dict[str, Any]:
        """Ask `client` to deploy to `device_id`, or only the gate. Raises EdgeWattError."""
        return client.deploy(
            device_id,
            self.model,
            max_energy_mj=self.budget_mj,
            policy=self.policy,
            force=self.force,
            reason=self.reason,
            dry_run=dry_run,
            **self.terms,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One device, and the gate's verdict on it."""

    model: str
    device_id: str
    device_type: str
    verdict: dict[str, Any]

    @property
    def allowed(self) -> bool:
        """Whether the gate lets the model go there."""
        return bool(self.verdict["allowed"])


def targets(client: Client, named: Iterable[str]) -> list[dict[str, Any]]:
    """Return the devices that `named` means, ids and `key=value` tags, each once. Raises NotFoundError."""
    found: dict[str, dict[str, Any]] = {}
    for name in named:
        if "=" not in name:
            found[name] = client.device(name)["device"]
            continue
        tagged = client.devices(limit=PAGE, tag=name)["devices"]
        if not tagged:
            raise NotFoundError(f"no device has the tag {name}", hint="see `edgewatt devices list`")
        found |= {each["id"]: each for each in tagged}
    return list(found.values())


def plan(client: Client, request: Request, named: Iterable[str]) -> list[Step]:
    """Return the gate's verdict on each device that `named` means. Raises EdgeWattError."""
    return [
        Step(
            model=request.model,
            device_id=each["id"],
            device_type=each["device_type"],
            verdict=request.send(client, each["id"], dry_run=True)["verdict"],
        )
        for each in targets(client, named)
    ]


def carry_out(
    client: Client, request: Request, steps: Iterable[Step]
) -> tuple[list[str], list[tuple[str, EdgeWattError]]]:
    """Deploy to each of `steps`; return the deployments' ids, and the devices where it went wrong with the reason."""
    ids: list[str] = []
    failures: list[tuple[str, EdgeWattError]] = []
    for step in steps:
        try:
            ids.append(request.send(client, step.device_id)["deployment_id"])
        except EdgeWattError as error:
            failures.append((step.device_id, error))
    return ids, failures


def table(steps: Sequence[Step]) -> Table:
    """Return one row per board and verdict, with what would fit where the answer is no."""
    ordered = sorted(steps, key=_group)
    rows = [_row(list(alike)) for _, alike in groupby(ordered, key=_group)]
    return Table(columns=("board", "devices", "predicted", "budget", "verdict", "note"), rows=rows)


def names(steps: Sequence[Step]) -> str:
    """Return how many devices `steps` touch, and which."""
    ids = [step.device_id for step in steps]
    more = f" and {len(ids) - NAMED_ASKING} more" if len(ids) > NAMED_ASKING else ""
    return f"{len(ids)} device{'s' if len(ids) > 1 else ''} ({', '.join(ids[:NAMED_ASKING])}{more})"


def refusal(steps: Sequence[Step]) -> str:
    """Return why not all of `steps` may be taken, in one sentence per cause."""
    refused = [step for step in steps if not step.allowed]
    if len(steps) == 1:
        return str(refused[0].verdict.get("sentence") or refused[0].verdict["reason"])
    return f"{len(refused)} of {len(steps)} devices are not within budget"


def _group(step: Step) -> tuple[str, str, str]:
    return step.device_type, step.verdict["verdict"], _figure(step)


def _row(alike: list[Step]) -> tuple[str, ...]:
    first = alike[0]
    ids = ", ".join(step.device_id for step in alike) if len(alike) <= NAMED else str(len(alike))
    return (
        first.device_type,
        ids,
        _figure(first),
        mj(first.verdict.get("budget_mj")),
        first.verdict["verdict"],
        _note(first),
    )


def _figure(step: Step) -> str:
    figure = interval(step.verdict.get("low_mj"), step.verdict.get("high_mj"))
    return f"{figure} ({step.verdict['source']})" if step.verdict.get("basis") == "measurement" else figure


def _note(step: Step) -> str:
    if step.allowed:
        return step.verdict["reason"] if step.verdict["verdict"] == "forced" else ""
    if step.verdict["verdict"] in ("unrunnable", "barred"):
        return str(step.verdict["reason"])
    if step.verdict["code"] == "no_prediction":
        return f"measure first: edgewatt devices measure {step.device_id} {step.model}"
    fitting = [_offer(each) for each in step.verdict.get("would_fit") or ()]
    ratio = (step.verdict.get("high_mj") or 0) / (step.verdict.get("budget_mj") or 1)
    would = f"would fit: {', '.join(fitting[:3])}" if fitting else "no model in the catalogue would fit"
    made = ", ".join(f"{v['name']} ({mj(v['energy_mj'])})" for v in step.verdict.get("variants") or ())
    would += f"; made anew would fit: {made}" if made and not fitting else ""
    others = ", ".join(each["device_id"] for each in step.verdict.get("elsewhere") or ())
    return f"{ratio:.1f}x the budget; {would}" + (f"; the same model would fit on {others}" if others else "")


def _offer(alternative: dict[str, Any]) -> str:
    loss = alternative.get("accuracy_loss_points")
    change = f", {-loss:+.1f} points" if loss is not None and round(loss, 1) else ""
    return f"{alternative['model']} ({mj(alternative['energy_mj'])}{change})"
