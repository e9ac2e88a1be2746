"""Pieces of HTML, escaped by default: pills, marked numbers, gauges, sparklines, tables."""

from collections.abc import Iterable, Sequence
from urllib.parse import urlencode

from markupsafe import Markup

from dashboard import words

EMPTY = Markup("")
_TONES = {
    "live": "good",
    "late": "warn",
    "silent": "odd",
    "asleep": "rest",
    "offline": "bad",
    "never_seen": "mute",
}
_PHASE_TONES = {
    "succeeded": "good",
    "refused": "bad",
    "failed": "bad",
    "rejected": "bad",
    "timed_out": "bad",
    "rollback_failed": "bad",
    "rolled_back": "warn",
    "rolling_back": "warn",
    "cancelled": "mute",
    "superseded": "mute",
    "expired": "mute",
}
_VERDICT_TONES = {
    "fits": "good",
    "tight": "warn",
    "over": "bad",
    "unknown": "odd",
    "no_budget": "mute",
    "unrunnable": "bad",
    "barred": "bad",
}
VERDICTS = {"no_budget": "no budget", "forced": "overridden", "unrunnable": "cannot run", "barred": "not allowed there"}


def join(parts: Iterable[Markup | str], between: Markup = EMPTY) -> Markup:
    """Return the parts after one another; text is escaped."""
    return between.join(parts)


def tag(name: str, content: Markup | str = EMPTY, *, of: str = "", title: str = "", style: str = "") -> Markup:
    """Return one element; `of` is its class, `content` is escaped unless it is markup."""
    given = {"class": of, "title": title, "style": style}
    attributes = join(Markup(' {}="{}"').format(key, value) for key, value in given.items() if value)
    return Markup("<{0}{1}>{2}</{0}>").format(name, attributes, content)


def link(text: Markup | str, page: str, /, *, of: str = "", title: str = "", **query: object) -> Markup:
    """Return a link to another page of the dashboard; empty values are left out of its address."""
    given = {key: value for key, value in query.items() if value not in ("", None)}
    address = page + ("?" + urlencode(given, doseq=True) if given else "")
    return Markup('<a href="{}" class="{}" title="{}">{}</a>').format(address or "./", of, title, text)


def pill(text: str, tone: str, title: str = "") -> Markup:
    """Return a small label whose shape says the tone too, so that colour is never alone."""
    return tag("span", join([tag("i"), text]), of=f"ew-pill {tone}", title=title)


def health(name: str, reason: str = "") -> Markup:
    """Return a health word as a pill, its reason on hover."""
    return pill(words.HEALTH.get(name, name), _TONES.get(name, "mute"), reason or words.HEALTH_MEANS.get(name, ""))


def phase(name: str) -> Markup:
    """Return a deployment's phase as a pill; one that still moves is told apart."""
    return pill(words.phase(name), phase_tone(name), words.PHASE_MEANS.get(name, ""))


def phase_tone(name: str) -> str:
    """Return the tone of a phase; `busy` while it moves."""
    return _PHASE_TONES.get(name, "busy")


def verdict(name: str) -> Markup:
    """Return the gate's word as a pill."""
    return pill(VERDICTS.get(name, name), _VERDICT_TONES.get(name, "warn"))


def mark(kind: words.Kind | None) -> Markup:
    """Return the mark of a kind of number: solid measured, dotted modelled, striped simulated, hollow predicted."""
    return EMPTY if kind is None else tag("i", of=f"ew-mark {kind}", title=kind)


def number(value: float | None, unit: str, kind: words.Kind | None = None, *, spell: bool = False) -> Markup:
    """Return a figure with its unit and mark; `spell` writes the kind out."""
    if value is None:
        return tag("span", words.NOTHING, of="ew-none")
    word = tag("small", f" {kind}") if spell and kind else EMPTY
    return join([tag("b", words.figure(value), of="ew-n"), tag("small", f" {unit}"), mark(kind), word])


def moment(ts: float | None, now: float) -> Markup:
    """Return a time as an age, absolute on hover."""
    return tag("time", words.since(ts, now), title=words.clock(ts))


def gauge(value: float | None, low: float | None, high: float | None, budget: float | None, kind: str = "") -> Markup:
    """Return energy on one line: the predicted interval hollow, the value as a dot, the budget as a tick."""
    known = [each for each in (value, high, budget) if each is not None]
    if not known or value is None:
        return EMPTY
    full = max(known) * 1.08
    parts = []
    if low is not None and high is not None:
        parts.append(tag("i", of="band", style=f"left:{low / full:.1%};width:{max(high - low, 0) / full:.1%}"))
    if budget is not None:
        parts.append(tag("i", of="tick", style=f"left:{budget / full:.1%}"))
    over = " over" if budget is not None and value > budget else ""
    parts.append(tag("i", of=f"dot {kind}{over}", style=f"left:{value / full:.1%}"))
    said = [f"{words.amount(value, 'mJ')} {kind}".strip()]
    said += [f"predicted {words.interval(low, high)}"] if low is not None and high is not None else []
    said += [f"budget {words.amount(budget, 'mJ')}"] if budget is not None else []
    return tag("span", join(parts), of="ew-gauge", title=" · ".join(said))


def spark(values: Sequence[float | None], title: str = "") -> Markup:
    """Return a small line of the given values, oldest first; nothing below three of them."""
    known = [each for each in values if each is not None]
    if len(known) < 3:  # noqa: PLR2004 - two points are no course
        return EMPTY
    low, high = min(known), max(known)
    reach = (high - low) or max(abs(high), 1e-9)
    step = 100 / (len(known) - 1)
    above = [(index * step, 82 - 64 * (each - low) / reach) for index, each in enumerate(known)]
    course = [f"{x:.1f}% {y:.0f}%" for x, y in above] + [f"{x:.1f}% {y + 14:.0f}%" for x, y in reversed(above)]
    return tag("i", of="ew-spark", title=title, style=f"clip-path:polygon({','.join(course)})")


def table(head: Sequence[str], rows: Iterable[Sequence[Markup | str]], *, right: Sequence[int] = ()) -> Markup:
    """Return a table that becomes cards on a narrow screen; the columns in `right` hold figures."""
    sides = ["r" if index in right else "" for index in range(len(head))]
    top = join(tag("th", name, of=side) for name, side in zip(head, sides, strict=True))
    body = join(
        tag(
            "tr",
            join(
                Markup('<td class="{}" data-label="{}"><div>{}</div></td>').format(side, name, cell)
                for name, side, cell in zip(head, sides, row, strict=True)
            ),
        )
        for row in rows
    )
    parts = [tag("thead", tag("tr", top)), tag("tbody", body)]
    return tag("div", tag("table", join(parts), of="ew-table"), of="ew-scroll")


def facts(pairs: Iterable[tuple[str, Markup | str]]) -> Markup:
    """Return names with their values, for reading rather than comparing."""
    return tag("dl", join(join([tag("dt", name), tag("dd", value)]) for name, value in pairs), of="ew-facts")


def written(text: str) -> Markup:
    """Return a sentence whose commands, between backticks, look like commands."""
    return join(tag("code", each) if index % 2 else each for index, each in enumerate(text.split("`")))


def note(title: str, text: Markup | str = "", *, tone: str = "mute", hint: str = "") -> Markup:
    """Return a boxed sentence: empty states, banners, refusals."""
    parts = [tag("strong", title), tag("p", text) if text else EMPTY, tag("p", hint, of="hint") if hint else EMPTY]
    return tag("div", join(parts), of=f"ew-note {tone}")


def heading(title: str, aside: Markup | str = "") -> Markup:
    """Return a section's title with a quiet remark beside it."""
    return tag("div", join([tag("h3", title), tag("span", aside)]), of="ew-heading")
