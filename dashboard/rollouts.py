"""Rollouts in HTML: bars by where devices stand, waves as columns, failures, who is waited for, before and after."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from dashboard import tables, words
from dashboard.markup import EMPTY, join, link, moment, number, pill, table, tag

Document = dict[str, Any]

TONES = {
    "failed": "bad",
    "breached": "bad",
    "rollback_failed": "bad",
    "to_roll_back": "warn",
    "rolling_back": "warn",
    "rollback_away": "warn",
    "rolled_back": "warn",
    "done": "good",
    "already": "good pale",
    "proving": "busy",
    "fetching": "busy pale",
    "away": "odd",
    "waiting": "mute",
    "refused": "mute pale",
    "withdrawn": "mute pale",
}
"""Where a device stands, what needs a person first, and its tone."""

MEANS = {
    "waiting": "its turn has not come",
    "fetching": "begun; it may download",
    "proving": "it loads, measures and watches the model",
    "away": "offline, asleep or waiting for a condition of its own; nobody waits for it",
    "done": "runs the model, proven",
    "breached": "runs the model, but broke a limit",
    "failed": "its deployment ended badly",
    "already": "had the very file before",
    "refused": "the gate said no; nothing was sent",
    "withdrawn": "not begun, or ended early",
    "to_roll_back": "is to return to the model before",
    "rolling_back": "returns to the model before",
    "rollback_away": "returns when it is back",
    "rolled_back": "runs the model before again",
    "rollback_failed": "could not return to the model before",
}
PHASES = {
    "planned": ("mute", "it begins when its time has come"),
    "running": ("busy", "devices get the model, wave by wave"),
    "paused": ("warn", "nobody begins; what is under way goes on"),
    "rolling_back": ("warn", "devices return to the model before"),
    "succeeded": ("good", "all that could be reached are done"),
    "failed": ("bad", "it ended short of what was asked"),
    "aborted": ("bad", "it was ended early"),
    "rolled_back": ("warn", "the model was taken back"),
}
_WAVE_TONES = {"waiting": "mute", "running": "busy", "soaking": "busy", "done": "good", "failed": "bad"}
WAVE_WORDS = {"soaking": "watched"}
MOST_CELLS = 400


def phase(found: Document) -> Markup:
    """Return a rollout's phase as a pill."""
    tone, means = PHASES.get(found["phase"], ("mute", ""))
    return pill(words.phase(found["phase"]), tone, means)


def listing(found: Iterable[Document], now: float) -> Markup:
    """Return rollouts, newest first as given, each with its bar."""
    return table(["Rollout", "Phase", "How far", "In it since", "Wave", "Began", "By"], [_row(r, now) for r in found])


def headline(found: Document, now: float) -> Markup:
    """Return what goes to how many devices, how it stands, since when and why."""
    why = (found.get("reason") if found.get("reason") != found["outcome"] else None) or found.get("holds")
    parts = [phase(found), moment(found["since"], now), tag("small", why) if why else EMPTY, _limit(found, now)]
    again = found.get("retry_of")
    parts.append(link("a second try", "rollouts", of="ew-go", id=again) if again else EMPTY)
    title = tag("h1", f"{found['model']} on {words.count(found['size'], 'device')}")
    return tag("div", join([title, tag("p", found["outcome"]), tag("div", join(parts), of="ew-strip")]), of="ew-title")


def _limit(found: Document, now: float) -> Markup:
    """Say how long it may still take; nothing of one that has ended, or has no limit."""
    ends = found.get("deadline_at")
    if ends is None or found.get("terminal"):
        return EMPTY
    return tag("small", f"{words.span(max(0.0, ends - now))} left of its time", title=words.clock(ends))


def bar(counts: Mapping[str, int]) -> Markup:
    """Return how many devices stand where, as one stacked bar."""
    total = sum(counts.values())
    parts = [
        tag("i", of=tone, style=f"flex-grow:{counts[name]}", title=f"{counts[name]} {words.phase(name)}: {MEANS[name]}")
        for name, tone in TONES.items()
        if counts.get(name)
    ]
    return tag("span", join(parts), of="ew-stacked", title="" if total else "no device")


def legend(counts: Mapping[str, int]) -> Markup:
    """Return what the colours of the standings that occur mean, with their numbers."""
    parts = [
        tag("span", join([tag("i", of=f"ew-cell {tone}"), f"{counts[name]:,} {words.phase(name)}"]), title=MEANS[name])
        for name, tone in TONES.items()
        if counts.get(name)
    ]
    return tag("div", join(parts), of="ew-legend")


def waves(found: Document, devices: Sequence[Document], now: float) -> Markup:
    """Return each wave as a column of its devices, failures first; `devices` is the page that is known."""
    of_wave: dict[int | None, list[Document]] = defaultdict(list)
    for device in devices[:MOST_CELLS]:
        of_wave[device["wave"]].append(device)
    columns = [_wave(wave, of_wave[wave["wave"]], now) for wave in found["waves"]]
    if of_wave[None]:
        aside = sum(found["counts"].get(name, 0) for name in ("already", "refused"))
        head = [tag("b", "Outside"), tag("small", words.count(aside, "device"))]
        columns.append(tag("div", join([tag("p", join(head, Markup(" "))), _cells(of_wave[None])]), of="ew-wave"))
    return tag("div", join(columns), of="ew-waves")


def failures(devices: Iterable[Document], now: float) -> Markup:
    """Return the devices that went wrong: in which step, and why."""
    bad = [each for each in devices if TONES.get(each["standing"]) == "bad"]
    if not bad:
        return EMPTY
    rows = [
        [
            link(words.short(each["device_id"]), "device", id=each["device_id"]),
            _standing(each),
            words.phase(each["stage"]) if each["stage"] else words.NOTHING,
            _why(each),
            moment(each["since"], now),
        ]
        for each in bad
    ]
    return table(["Device", "Stands", "Step", "Why", "Since"], rows)


def waiting_for(found: Document, now: float) -> Markup:
    """Return who is away, why, and when it was last heard of."""
    rows = [
        [
            link(words.short(each["device_id"]), "device", id=each["device_id"]),
            each["why"] or words.NOTHING,
            moment(each["last_seen_at"], now) if each["last_seen_at"] else "never",
        ]
        for each in found["waiting_for"]
    ]
    return table(["Device", "Why", "Last reading"], rows) if rows else EMPTY


def before_and_after(found: Document) -> Markup:
    """Return mean energy and latency by board before and after, with what was predicted beside them."""
    by_board: dict[str, dict[str, list[Document]]] = defaultdict(lambda: defaultdict(list))
    for each in found["figures"]:
        by_board[each["device_type"]][each["when"]].append(each)
    rows = []
    for board, when in by_board.items():
        for after in when["after"]:
            before = next((b for b in when["before"] if b["source"] == after["source"]), None)
            rows.append(_figures(board, before, after))
    head = ["Board", "Devices", "Energy before", "Energy after", "Predicted", "Within it", "p95 before", "p95 after"]
    return table(head, rows, right=(2, 3, 4, 6, 7)) if rows else EMPTY


def audit(found: Document, now: float) -> Markup:
    """Return who did what, oldest first."""
    lines = [
        tag("li", join([tag("b", event["text"]), tag("small", join([moment(event["at"], now), f" · {event['who']}"]))]))
        for event in found["events"]
    ]
    return tag("ol", join(lines), of="ew-line")


def _row(found: Document, now: float) -> list[Markup | str]:
    name = link(found["model"], "rollouts", id=found["id"], title=found["id"])
    waves_ = len(found["waves"])
    return [
        tag("span", join([name, tag("small", words.count(found["size"], "device"))]), of="stack"),
        phase(found),
        tag("span", join([bar(found["counts"]), tag("small", found["outcome"])]), of="stack"),
        moment(found["since"], now),
        f"{found['wave']} of {waves_}" if waves_ else words.NOTHING,
        moment(found["created_at"], now),
        found["who"],
    ]


def _wave(wave: Document, devices: Sequence[Document], now: float) -> Markup:
    name = wave["phase"]
    state = pill(str(WAVE_WORDS.get(name, name)), _WAVE_TONES.get(name, "mute"))
    head = [tag("b", f"Wave {wave['wave']}"), state, tag("small", words.count(wave["size"], "device"))]
    since = EMPTY if name == "waiting" else tag("small", join([" since ", moment(wave["since"], now)]))
    more = wave["size"] - len(devices)
    rest = tag("small", f"and {more:,} more") if more > 0 else EMPTY
    return tag("div", join([tag("p", join([*head, since], Markup(" "))), _cells(devices), rest]), of="ew-wave")


def _cells(devices: Iterable[Document]) -> Markup:
    return tag("div", join(_cell(each) for each in devices), of="ew-cells")


def _cell(device: Document) -> Markup:
    why = f" ({device['reason']})" if device["reason"] else ""
    said = f"{device['device_id']}: {words.phase(device['standing'])}{why}"
    of = f"ew-cell {TONES.get(device['standing'], 'mute')}"
    page = {"id": device["deployment_id"]} if device["deployment_id"] else {"id": device["device_id"]}
    return link(EMPTY, "deployments" if device["deployment_id"] else "device", of=of, title=said, **page)


def _standing(device: Document) -> Markup:
    name = device["standing"]
    return pill(words.phase(name), TONES.get(name, "mute").split()[0], MEANS.get(name, ""))


def _why(device: Document) -> Markup | str:
    said = words.short(device["reason"] or words.NOTHING, 160)
    return link(said, "deployments", id=device["deployment_id"]) if device["deployment_id"] else said


def _figures(board: str, before: Document | None, after: Document) -> list[Markup | str]:
    kind = words.kind_of(after["source"])
    ran = after.get("predicted") or {}
    inside = f"{after['inside_prediction'] or 0} of {after['devices']}" if ran.get("high_mj") else words.NOTHING
    return [
        board,
        f"{after['devices']:,}",
        number(before["energy_mj"] if before else None, "mJ", kind),
        number(after["energy_mj"], "mJ", kind),
        tables.predicted(ran),
        inside,
        number(before["latency_p95_ms"] if before else None, "ms"),
        number(after["latency_p95_ms"], "ms"),
    ]
