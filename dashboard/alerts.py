"""Alerts in HTML, worst first: what, since when, by how much, what to do, who has seen it; pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dashboard import words
from dashboard.actions import Action
from dashboard.markup import EMPTY, join, link, moment, number, pill, table, tag, written

Document = dict[str, Any]

VIEWS = {
    "open": "Open",
    "acknowledged": "Acknowledged",
    "silenced": "Silenced",
    "pending": "Pending",
    "no_data": "No data",
    "resolved": "Resolved",
}
EMPTY_SAYS = {
    "open": (
        "Nothing needs you",
        "No rule is broken that nobody has seen or silenced. The rules are beside this list.",
    ),
    "acknowledged": ("Nothing is acknowledged", "What somebody has seen waits here until a reading says it is over."),
    "silenced": ("Nothing that fires is silenced", "A silenced alert runs on and shows here; no notice of it is sent."),
    "pending": ("Nothing is on its way", "What is beyond a threshold shows here until it has lasted long enough."),
    "no_data": ("Every rule has data", "A rule whose readings stopped shows here; one that fired before stays open."),
    "resolved": ("Nothing was resolved within a day", "What fired and is over shows here for a day."),
}
STATES = {
    "firing": ("bad", "beyond its threshold for as long as the rule says"),
    "pending": ("busy", "beyond its threshold, not yet for long enough"),
    "no_data": ("odd", "no reading speaks of now"),
    "resolved": ("good", "a reading said that it is over"),
    "ok": ("mute", "within its limits"),
}
SEVERITIES = {"critical": "bad", "warning": "warn"}
SIGNS = {">": "above", ">=": "from", "<": "below", "<=": "down to"}
SPANS = {"30 min": 1_800.0, "2 h": 7_200.0, "8 h": 28_800.0, "1 day": 86_400.0, "7 days": 604_800.0}
REACHES = {"alert": "only these alerts", "device": "every alert of these devices", "rule": "these rules, everywhere"}
NAMED = 3


def headline(counts: Mapping[str, int]) -> tuple[str, str]:
    """Return in two sentences what needs somebody, and what else is open."""
    opened, critical = counts["open"], counts["critical"]
    rest = [f"{counts[view]:,} {VIEWS[view].lower()}" for view in ("acknowledged", "silenced") if counts[view]]
    detail = f"Besides {words.listed(rest)}." if rest else "Each is a rule that a device, a rollout or EdgeWatt broke."
    if not opened:
        return "Nothing needs you now", detail
    worst = f", {critical:,} critical" if critical else ""
    return f"{words.count(opened, 'alert')} open{worst}", detail


def tiles(counts: Mapping[str, int], chosen: str, here: Mapping[str, str]) -> Markup:
    """Return how many alerts each view has; each is a link to it that keeps the rest of the address."""
    parts = []
    for view, name in VIEWS.items():
        of = "ew-tile" + (" on" if view == chosen else "") + ("" if counts.get(view) else " zero")
        aim = {**here, "view": "" if view == "open" else view}
        shown = join([tag("b", f"{counts.get(view, 0):,}"), tag("span", name, of="name")])
        parts.append(link(shown, "alerts", of=of, title=EMPTY_SAYS[view][1], **aim))
    return tag("div", join(parts), of="ew-tiles")


def listing(found: Iterable[Document], here: Mapping[str, str], now: float) -> Markup:
    """Return alerts as given; `here` is the address that a link to act on one keeps."""
    head = ["Alert", "State", "Since", "Value", "Limit", "Last reading", "What to do", ""]
    return table(head, [_row(each, here, now) for each in found], right=(3, 4))


def silences(found: Iterable[Document], now: float) -> Markup:
    """Return silences, the first to end first."""
    rows = [
        [
            _named("device", each["device_id"]) or "every device",
            each["rule"] or "every rule",
            f"{words.span(each['until'] - now)} more",
            each["who"],
            each["why"] or words.NOTHING,
            tag("span", each["id"], of="ew-raw"),
        ]
        for each in found
    ]
    return table(["Of", "Rule", "For", "By", "Why", "Id"], rows)


def severity(alert: Document) -> Markup:
    """Return how bad it is as a pill."""
    return pill(alert["severity"], SEVERITIES.get(alert["severity"], "warn"))


def acknowledge(ids: Sequence[str], note: str) -> Action:
    """Return what is asked before alerts are acknowledged."""
    return Action(
        title=f"Acknowledge {words.count(len(ids), 'alert')}",
        deed=f"Acknowledge {words.count(len(ids), 'alert')}",
        consequence="They leave the list of open ones and stay open until a reading says that they are over; one that "
        "fires anew is in the list again.",
        method="ack_alert",
        targets=tuple(ids),
        arguments={"note": note},
        watched="in this list, under Acknowledged",
    )


def silence(ids: Sequence[str], span: str, why: str, reach: str) -> Action:
    """Return what is asked before alerts are silenced."""
    return Action(
        title=f"Silence {words.count(len(ids), 'alert')} for {span}",
        deed=f"Silence for {span}",
        consequence=f"No notice is sent of {REACHES[reach]} for {span}. They run on and show under Silenced; what is "
        "still open then is told.",
        method="silence_alert",
        targets=tuple(ids),
        arguments={"for_s": SPANS[span], "why": why, "reach": reach},
        watched="in this list, under Silenced",
    )


def end_silence(silence_id: str, what: str) -> Action:
    """Return what is asked before a silence ends early."""
    return Action(
        title="End a silence",
        deed="End it",
        consequence=f"Notices of {what} are sent again; what is open now is told.",
        method="end_silence",
        targets=(silence_id,),
        watched="in this list",
    )


def _row(alert: Document, here: Mapping[str, str], now: float) -> list[Markup | str]:
    return [
        tag("span", join([_title(alert), tag("small", alert["says"] or alert["condition"])]), of="stack"),
        tag("span", join([severity(alert), " ", _state(alert), _people(alert, now)]), of="stack"),
        tag("span", join([moment(alert["began_at"] or alert["since"], now), _times(alert)]), of="stack"),
        number(alert["value"], alert["unit"], alert["kind"]),
        tag("span", join([f"{SIGNS[alert['comparison']]} ", number(alert["threshold"], alert["unit"])]), of="nowrap"),
        _age(alert),
        tag("span", join([tag("small", written(alert["advice"])), _leads(alert)]), of="stack"),
        link("act", "alerts", of="ew-go", title=f"Acknowledge or silence {alert['id']}", **{**here, "on": alert["id"]}),
    ]


def _title(alert: Document) -> Markup:
    subject = alert["subject"]
    shown = _named("device", alert["device_id"]) or _named("rollouts", alert["rollout_id"]) or subject
    return tag("b", join([alert["rule"], " on ", shown]), title=alert["id"])


def _named(page: str, name: str | None) -> Markup | None:
    return link(words.short(name), page, id=name, title=name) if name else None


def _state(alert: Document) -> Markup:
    tone, means = STATES.get(alert["state"], ("mute", ""))
    if alert["state"] == "no_data" and alert["open"]:
        return join([pill("no data", tone, means), tag("small", f"fired before, stays open; {alert['why']}")])
    return pill(words.phase(alert["state"]), tone, means)


def _people(alert: Document, now: float) -> Markup:
    seen, silenced = alert["acknowledged"], alert["silenced"]
    parts = []
    if seen:
        note = f": {seen['note']}" if seen["note"] else ""
        parts.append(tag("small", join([f"seen by {seen['who']} ", moment(seen["at"], now), note])))
    if silenced:
        why = f": {silenced['why']}" if silenced["why"] else ""
        parts.append(tag("small", f"silenced by {silenced['who']}, {words.span(silenced['until'] - now)} more{why}"))
    return join(parts)


def _times(alert: Document) -> Markup:
    """Return how often it came, where that is more than once."""
    if alert["fired"] < 2:  # noqa: PLR2004 - once is what the row itself says
        return EMPTY
    times = " · ".join(words.clock(at) for at in alert["fired_at"])
    flaps = pill("flaps", "warn", times) if alert["flapping"] else EMPTY
    return join([tag("small", f"{alert['fired']} times", title=times), flaps])


def _age(alert: Document) -> Markup | str:
    age_s = alert["reading_age_s"]
    return tag("small", "never" if age_s is None else words.ago(age_s), title=words.clock(alert["reading_at"]))


def _leads(alert: Document) -> Markup:
    """Return where more is told: the deployment, the rollout, the runbook."""
    parts = [
        link("deployment", "deployments", of="ew-go", id=alert["deployment_id"]) if alert["deployment_id"] else EMPTY,
        link("rollout", "rollouts", of="ew-go", id=alert["rollout_id"]) if alert["rollout_id"] else EMPTY,
        _runbook(alert["runbook"]),
    ]
    return tag("span", join([part for part in parts if part], Markup(" · ")))


def _runbook(address: str) -> Markup:
    if not address:
        return EMPTY
    if not address.startswith(("http://", "https://")):
        return tag("small", address)
    return Markup('<a href="{}" class="ew-go" rel="noopener" target="_blank">runbook</a>').format(address)
