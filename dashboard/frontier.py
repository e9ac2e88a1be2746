"""What is known of all models on one board, as rows for the map and the table; pure."""

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

from dashboard import words
from dashboard.markup import EMPTY, join, link, number, pill, table, tag

Document = dict[str, Any]

MEASURED = "measured"
NAMED = 3
ORDERS = {"cheapest first": "energy_mj", "most accurate": "-top1_pct", "fastest": "latency_ms", "by name": "name"}
COLUMNS = ("name", "family", "top1_pct", "energy_mj", "low_mj", "high_mj", "energy_source", "latency_ms", "on_frontier")
"""What a file of the models has; energies in mJ per inference."""
IN_STORE = "in the store"
PUBLISHED = "published"


def tasks(models: Iterable[Document]) -> list[str]:
    """Return what the models answer, the most common first: accuracies are compared within one only."""
    found = [each.get("task") or "unknown" for each in models]
    return sorted(set(found), key=lambda task: (-found.count(task), task))


def spots(models: Iterable[Document], budget_mj: float | None, picked: str) -> list[Document]:
    """Return one row per model for the map: its figures, and how it stands."""
    return [
        {
            "name": each["name"],
            "top1_pct": each["top1_pct"],
            "energy_mj": each["energy_mj"],
            "low_mj": each["low_mj"],
            "high_mj": each["high_mj"],
            "latency_ms": each.get("latency_ms"),
            "stands": "on the frontier" if each["on_frontier"] else "dominated",
            "known": kind(each),
            "origin": IN_STORE if each["in_store"] else PUBLISHED,
            "fits": budget_mj is None or each["high_mj"] <= budget_mj,
            "picked": each["name"] == picked,
        }
        for each in models
    ]


def kind(model: Document) -> words.Kind:
    """Return whether a model's energy is measured or predicted."""
    return "predicted" if (model.get("energy_source") or "predicted") == "predicted" else "measured"


def headline(models: Sequence[Document], budget_mj: float | None) -> str:
    """Return how many are worth a thought, and the most accurate that fits, in one sentence."""
    members = [each for each in models if each["on_frontier"]]
    said = f"{words.count(len(members), 'model')} of {len(models)} that no other one beats"
    if budget_mj is None:
        return said
    fitting = [each for each in members if each["high_mj"] <= budget_mj]
    if not fitting:
        return f"{said}; none of them fits {words.amount(budget_mj, 'mJ')} by its upper end"
    best = max(fitting, key=lambda each: each["top1_pct"])
    return f"{said}; the most accurate within {words.amount(budget_mj, 'mJ')} is {best['name']}"


def catalogue(models: Iterable[Document], picked: str, budget_mj: float | None, kept: dict[str, str]) -> Markup:
    """Return the models as a table, the picked one lit; `kept` is the rest of the page's address."""
    head = ["Model", "Stands", "Top-1", "Energy per inference", "95 %", "Latency", ""]
    rows = [_row(each, each["name"] == picked, budget_mj, kept) for each in models]
    return table(head, rows, right=(2, 3, 4, 5))


def ordered(models: Iterable[Document], order: str) -> list[Document]:
    """Return the models by one of `ORDERS`; those without the figure last."""
    name, sign = order.removeprefix("-"), -1 if order.startswith("-") else 1
    if name == "name":
        return sorted(models, key=lambda each: str(each["name"]))
    return sorted(models, key=lambda each: (each.get(name) is None, sign * (each.get(name) or 0.0)))


def worth_showing(models: Iterable[Document], picked: str) -> tuple[list[Document], list[Document]]:
    """Return the models that the table shows at once, and the published ones that others beat."""
    first: list[Document] = []
    rest: list[Document] = []
    for each in models:
        (first if each["on_frontier"] or each["in_store"] or each["name"] == picked else rest).append(each)
    return first, rest


def apart(models: Iterable[Document]) -> Markup:
    """Return the models that could not be compared, each with the reason."""
    rows = [[tag("b", each["name"]), "; ".join([each["reason"], *each.get("reasons", ())])] for each in models]
    return table(["Kept apart", "Why"], rows)


def beaten(model: Document) -> str:
    """Return who beats a model, in words."""
    by = list(model["dominated_by"])
    if not by:
        return "no other model is better on every count"
    sure = "beaten" if model.get("surely") else "probably beaten"
    return f"{sure} by {words.listed(by, NAMED)}"


def _row(model: Document, picked: bool, budget_mj: float | None, kept: dict[str, str]) -> list[Markup | str]:
    stands = pill("frontier", "good") if model["on_frontier"] else pill("dominated", "mute")
    over = budget_mj is not None and model["high_mj"] > budget_mj
    name = link(words.short(model["name"]), "predictions", **kept, pick=model["name"], title="Show it on the map")
    chosen = pill("picked", "busy") if picked else EMPTY
    deploy = link("deploy it", "deploy", of="ew-go nowrap", model=model["name"], energy_mj=budget_mj)
    latency = join([number(model.get("latency_ms"), "ms"), tag("small", " implied") if _implied(model) else EMPTY])
    return [
        tag("span", join([tag("b", name), chosen]), of="ew-picked" if picked else ""),
        tag("span", join([stands, tag("small", beaten(model)) if model["dominated_by"] else EMPTY]), of="stack"),
        number(model["top1_pct"], "%"),
        number(model["energy_mj"], "mJ", kind(model)),
        join([words.interval(model["low_mj"], model["high_mj"]), pill("over", "bad") if over else EMPTY]),
        tag("span", latency, title=model.get("latency_source") or "", of="nowrap"),
        deploy if model["in_store"] else tag("small", "not in the store"),
    ]


def _implied(model: Document) -> bool:
    return str(model.get("latency_source") or "").startswith("implied")
