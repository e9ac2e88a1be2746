"""The list of what needs a person, in HTML: one line each, further reasons counted, and unfolded when asked."""

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from dashboard import words
from dashboard.attention import Case
from dashboard.markup import EMPTY, join, link, pill, tag
from dashboard.needs import Need

MOST = 8
QUIET = {"acknowledged": "acknowledged", "silenced": "silenced", "no_data": "without data"}
"""The alerts that do not shout, by the view of the Alerts page that lists them."""


def lines(
    cases: Sequence[Case], here: Mapping[str, str], now: float, *, unfolded: str = "", most: int = MOST
) -> Markup:
    """Return the cases as given, with the further reasons of the `unfolded` one; `here` is the address to keep."""
    rows = [_line(case, here, now, unfolded=_key(case) == unfolded) for case in cases[:most]]
    left = len(cases) - most
    if left > 0:
        more = tag("small", f"and {left:,} more: choose a reason above to see its devices")
        rows.append(tag("div", more, of="ew-need"))
    return tag("div", join(rows), of="ew-needs")


def whole(case: Case, now: float) -> Markup:
    """Return all needs of one case, for its own page; the first one explains those that come next."""
    return tag("ul", join(_further(need, now) for need in (*case.needs, *case.seen)), of="ew-panel ew-further")


def reasons(kinds: Mapping[str, int], chosen: str, here: Mapping[str, str], alerts: Mapping[str, int]) -> Markup:
    """Return why devices need a person, with their numbers; each is a link that shows those alone, or all.

    `alerts` counts them by view: the open ones, and those that do not shout, have a page of their own.
    """
    parts = [
        link(
            join([tag("b", f"{number:,}"), f" {kind}"]),
            "",
            of="ew-view" + (" on" if kind == chosen else ""),
            **{**here, "need": "" if kind == chosen else kind},
        )
        for kind, number in kinds.items()
    ]
    if alerts.get("open"):
        said = f" open {'alert' if alerts['open'] == 1 else 'alerts'} →"
        parts.append(link(join([tag("b", f"{alerts['open']:,}"), said]), "alerts", of="ew-view"))
    parts += [
        link(f"{alerts[view]:,} {name}", "alerts", of="ew-view quiet", title=f"Alerts: {name}", view=view)
        for view, name in QUIET.items()
        if alerts.get(view)
    ]
    return tag("div", join(parts), of="ew-views") if parts else EMPTY


def _key(case: Case) -> str:
    return case.aim or case.device_id


def _line(case: Case, here: Mapping[str, str], now: float, *, unfolded: bool) -> Markup:
    worst, further = case.needs[0], [*case.needs[1:], *case.seen]
    aim = {} if case.page == "alerts" else {"id": _key(case)}
    name = link(words.short(case.device_id), case.page, title=case.device_id, **aim)
    what = [tag("p", _sentence(worst)), _beside(case)]
    aside = [_since(worst, now), _age(worst), _go(case, here, unfolded=unfolded)]
    parts = [
        name,
        tag("span", pill(worst.kind, worst.tone)),
        tag("div", join(what)),
        tag("span", join(aside), of="aside"),
    ]
    if unfolded:
        parts.append(tag("ul", join(_further(need, now) for need in further)))
    return tag("div", join(parts), of="ew-need")


def _beside(case: Case) -> Markup:
    """Return the kinds of the further needs: those that the first one brings with it, those besides."""
    brought, besides = case.needs[1 : case.explained + 1], case.needs[case.explained + 1 :]
    said = [
        f"{how} {words.listed([need.kind for need in some])}"
        for how, some in (("with it", brought), ("besides", besides))
        if some
    ]
    said += [f"{len(case.seen)} acknowledged or silenced"] if case.seen else []
    return tag("small", "; ".join(said)) if said else EMPTY


def _sentence(need: Need) -> Markup | str:
    flaps = join([" ", pill("flaps", "warn", "it comes and goes: three times and more within the hour")])
    times = join([tag("small", f" {need.fired} times"), flaps if need.flaps else EMPTY]) if need.fired > 1 else EMPTY
    text = link(need.sentence, "deployments", id=need.deployment_id) if need.deployment_id else need.sentence
    return join([text, times])


def _since(need: Need, now: float) -> Markup:
    if need.since is None:
        return EMPTY
    return tag("time", f"for {words.span(now - need.since)}", title=f"since {words.clock(need.since)}")


def _age(need: Need) -> Markup:
    return EMPTY if need.age_s is None else tag("small", f"reading {words.ago(need.age_s)}")


def _go(case: Case, here: Mapping[str, str], *, unfolded: bool) -> Markup:
    worst, further = case.needs[0], [*case.needs[1:], *case.seen]
    parts = []
    if further:
        said = "; ".join(f"{need.kind}: {need.sentence}" for need in further)
        text = "fold" if unfolded else f"{len(further)} more"
        parts.append(link(text, "", of="ew-go", title=said, **{**here, "more": "" if unfolded else _key(case)}))
    if worst.alert_id:
        parts.append(_alert(worst))
    return join(parts, Markup(" "))


def _alert(need: Need) -> Markup:
    return link("alert", "alerts", of="ew-go", title=f"Acknowledge or silence {need.alert_id}", on=need.alert_id)


def _further(need: Need, now: float) -> Markup:
    seen = tag("small", need.seen) if need.seen else EMPTY
    parts = [pill(need.kind, "mute" if need.seen else need.tone), _sentence(need), _since(need, now), _age(need), seen]
    parts += [_alert(need)] if need.alert_id else []
    told = join([part for part in parts[1:] if part], Markup(" · "))
    return tag("li", join([parts[0], told], Markup(" ")))
