"""Boards, releases and lines of balena as HTML, and what a pin is asked about; pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from markupsafe import Markup

from dashboard import words
from dashboard.actions import SHOWN_NAMES, Action
from dashboard.markup import EMPTY, health, join, link, moment, number, pill, table, tag

Document = dict[str, Any]

WHERE = {"both": "Known to both", "balena": "Only at balena", "here": "Only here"}
_MEANS = {
    "both": "Its agent said which board at balena it is on.",
    "balena": "No agent that spoke here is on this board.",
    "here": "It is not in this fleet at balena, or its agent does not say which board it is on.",
}
_RELEASE_TONES = {"success": "good", "failed": "bad", "error": "bad", "running": "busy"}


def told(counts: Mapping[str, int]) -> str:
    """Return how many boards are known where, as a sentence."""
    return f"{counts['both']} known to both, {counts['balena']} only at balena, {counts['here']} only here."


def boards(rows: Iterable[Document], now: float) -> Markup:
    """Return the boards: balena's word on each, then ours with its age."""
    head = ["Board", "Known", "At balena", "Heat", "Release", "Device here", "Health", "Model"]
    return table(head, [_board(each, now) for each in rows], right=(3,))


def releases(rows: Iterable[Document], fleet: Document, now: float) -> Markup:
    """Return the releases, newest first as given."""
    own = (fleet.get("should_run") or {}).get("id")
    return table(["Release", "State", "Made", "Commit"], [_release(each, own, now) for each in rows])


def lines(rows: Iterable[Document], now: float) -> Markup:
    """Return log lines, newest first, with where each is from."""
    head = ["When", "From", "Line"]
    newest = list(rows)[::-1]
    return table(
        head, [(moment(each["at"], now), _whence(each), tag("span", each["text"], of="ew-raw")) for each in newest]
    )


def label(release: Document) -> str:
    """Return a release as a choice."""
    return f"{release['name']} ({release['id']})"


def question(plan: Document) -> Action:
    """Return what has to be confirmed before the pin that a dry run told of is made."""
    release, names = label(plan["release"]), [str(each["name"] or each["uuid"]) for each in plan["devices"]]
    before = (plan["before"] or {}).get("name")
    instead = f" instead of {before}" if before else ""
    single = plan["target"] == "device"
    whom = f"The board {plan['name']}" if single else f"{words.count(len(names), 'board')} of {plan['name']}"
    kept = f" Not changed: {words.count(plan['kept'], 'board')} pinned apart." if plan["kept"] else ""
    listed = "" if single else f" Those are: {words.listed(names, SHOWN_NAMES) or 'none'}."
    return Action(
        title=f"Pin {release} on {plan['name']}",
        deed=f"Pin it on {whom[:1].lower()}{whom[1:]}",
        consequence=_plain(
            f"{whom} will run release {release}{instead}: balena replaces the containers, the agent's too, and what "
            f"runs pauses meanwhile.{listed}{kept}"
        ),
        method="balena_pin_device" if single else "balena_pin_fleet",
        targets=(plan["devices"][0]["uuid"] if single else plan["fleet"],),
        arguments={"release_id": plan["release"]["id"]},
        typed="" if single else plan["fleet"],
        watched="in the list of boards, as soon as balena has told them",
    )


def _board(row: Document, now: float) -> list[Markup | str]:
    there, here = row["balena"] or {}, row["device"] or {}
    name = tag("b", words.short(str(row["name"])), title=row["uuid"] or "")
    kind = tag("small", there.get("device_type") or "")
    known = pill(WHERE[row["where"]].lower(), "good" if row["where"] == "both" else "odd", _MEANS[row["where"]])
    return [
        tag("span", join([name, kind]), of="stack"),
        known,
        _state(there, now) if there else words.NOTHING,
        number(there.get("temperature_c"), "°C"),
        _runs(there),
        link(words.short(here["id"]), "device", id=here["id"], title=here["id"]) if here else words.NOTHING,
        _health(here) if here else words.NOTHING,
        str(here.get("runs") or words.NOTHING),
    ]


def _state(there: Document, now: float) -> Markup:
    online = there.get("online")
    word = pill("online" if online else "offline", "good" if online else "bad") if online is not None else EMPTY
    since = there.get("last_seen_at")
    status = tag(
        "small",
        join([there.get("status") or "", " · since ", moment(since, now)] if since else [there.get("status") or ""]),
    )
    power = pill("undervolted", "warn", "The board gets too little voltage.") if there.get("undervolted") else EMPTY
    return tag("span", join([word, Markup(" "), power, status]), of="stack")


def _runs(there: Document) -> Markup | str:
    runs, should = there.get("runs") or {}, there.get("should_run") or {}
    if not (runs or should):
        return words.NOTHING
    parts: list[Markup | str] = [tag("b", str(runs.get("name") or words.NOTHING))]
    if should.get("id") != runs.get("id"):
        parts += [Markup(" "), pill(f"shall run {should.get('name')}", "warn")]
    if there.get("pinned"):
        parts.append(tag("small", "pinned"))
    return tag("span", join(parts), of="stack")


def _health(here: Document) -> Markup:
    parts = [
        health(here.get("health") or "", here.get("health_reason") or ""),
        tag("small", words.ago(here.get("reading_age_s"))),
    ]
    return tag("span", join(parts), of="stack")


def _release(row: Document, own: Any, now: float) -> list[Markup | str]:
    word, tone = str(row["status"] or words.NOTHING), _RELEASE_TONES.get(row["status"] or "", "mute")
    state = pill("invalidated", "warn", "Somebody took it back.") if row["invalidated"] else pill(word, tone)
    mine = tag("small", "what the fleet runs") if row["id"] == own else EMPTY
    name = tag("span", join([tag("b", str(row["name"])), tag("small", str(row["id"])), mine]), of="stack")
    return [name, state, moment(row["created_at"], now), tag("span", (row["commit"] or "")[:12], of="ew-raw")]


def _whence(line: Document) -> str:
    return "system" if line["system"] else "stderr" if line["stderr"] else "stdout"


def _plain(text: str) -> str:
    """Return a text in which Markdown finds nothing to do."""
    return "".join(f"\\{each}" if each in "\\`*_{}[]<>#+-!|~$:" else each for each in text)
