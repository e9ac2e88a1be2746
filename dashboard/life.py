"""A deployment's life in HTML: the phases it went through, why, and what came of it."""

from typing import Any

from markupsafe import Markup

from broker.conditions import in_words
from dashboard import tables, words
from dashboard.markup import EMPTY, facts, gauge, join, link, mark, moment, number, phase, phase_tone, pill, tag

Document = dict[str, Any]


def headline(deployment: Document, now: float) -> Markup:
    """Return what goes where, how far it is and since when."""
    name = deployment.get("phase") or ""
    where = link(words.short(deployment["device_id"]), "device", id=deployment["device_id"])
    parts = [phase(name), tag("small", words.PHASE_MEANS.get(name, "")), moment(deployment.get("since"), now)]
    attempt = int(deployment.get("attempt") or 1)
    parts.append(tag("small", f"attempt {attempt}") if attempt > 1 else EMPTY)
    when = words.promised(deployment.get("will_apply_at"), now)
    parts.append(pill(f"the device sleeps; {when}", "rest") if when else EMPTY)
    parts.append(tag("small", words.goes_on(deployment.get("eta"), now)))
    title = tag("h1", join([deployment.get("model") or "", " on ", where]))
    return tag("div", join([title, tag("div", join(parts, Markup(" ")), of="ew-strip")]), of="ew-title")


def timeline(deployment: Document, now: float) -> Markup:
    """Return every phase it went through, oldest first, with reason and time spent."""
    events = deployment.get("events") or []
    if not events:
        ended = "Its steps were moved into an archive of the log." if deployment.get("terminal") else ""
        return tag("p", tag("small", ended or "Nothing has been heard of it yet."))
    ends = [event.get("at") for event in events[1:]] + [now if not deployment.get("terminal") else None]
    lines = [_event(event, end, last=event is events[-1], now=now) for event, end in zip(events, ends, strict=True)]
    return tag("ol", join([*lines, _download(deployment)]), of="ew-line")


def outcome(deployment: Document) -> Markup:
    """Return budget, prediction and what was found on the device, side by side, and who asked."""
    result, ran = deployment.get("result") or {}, deployment.get("predicted") or {}
    kind = words.kind_of(result.get("energy_source"))
    spent = result.get("energy_mj")
    pairs: list[tuple[str, Markup | str]] = [
        ("Asked by", deployment.get("origin") or words.NOTHING),
        ("Budget", number(deployment.get("budget_mj"), "mJ per inference")),
        ("Predicted", tables.predicted(ran)),
        ("On the device", join([number(spent, "mJ", kind, spell=True), _told_the_truth(spent, ran)])),
        ("Latency p95", number(result.get("latency_p95_ms"), "ms")),
        ("Its budget", number(deployment.get("latency_ms"), "ms")),
        ("Begins when", in_words(deployment.get("when") or {}) or words.NOTHING),
        ("Artifact", tag("span", words.short(deployment.get("artifact_sha256") or words.NOTHING, 24), of="ew-raw")),
        ("Id", tag("span", deployment.get("id") or "", of="ew-raw")),
    ]
    if deployment.get("forced_reason"):
        pairs.insert(2, ("Overridden", join([pill("gate overridden", "warn"), f" {deployment['forced_reason']}"])))
    line = gauge(spent, ran.get("low_mj"), ran.get("high_mj"), deployment.get("budget_mj"), kind or "")
    return tag("div", join([facts(pairs), line]), of="ew-panel")


def _event(event: Document, end: float | None, *, last: bool, now: float) -> Markup:
    name = event.get("phase") or ""
    tone = phase_tone(name)
    of = tone if last or tone != "busy" else "step"
    at, attempt = event.get("at"), int((event.get("facts") or event).get("attempt") or 1)
    lasted = f"for {words.span(end - at)}" if end is not None and at is not None and end - at >= 1 else ""
    aside = [
        moment(at, now),
        lasted,
        event.get("who") or "",
        f"attempt {attempt}" if attempt > 1 else "",
    ]
    quiet = tag("small", join([" · ", join([each for each in aside if each], Markup(" · "))]))
    why = tag("p", event["reason"]) if event.get("reason") else EMPTY
    return tag("li", join([tag("b", words.phase(name)), quiet, why]), of=of, title=words.PHASE_MEANS.get(name, ""))


def _download(deployment: Document) -> Markup:
    progress = deployment.get("progress") or {}
    done, total = progress.get("bytes"), progress.get("total")
    if deployment.get("terminal") or done is None or not total:
        return EMPTY
    share = min(1.0, done / total)
    said = tag("small", f"{words.megabytes(done)} of {words.megabytes(total)}")
    return tag("li", join([tag("span", tag("i", style=f"width:{share:.0%}"), of="ew-bar"), said]), of="busy")


def _told_the_truth(spent: float | None, ran: Document) -> Markup:
    low, high = ran.get("low_mj"), ran.get("high_mj")
    if spent is None or low is None or high is None:
        return EMPTY
    inside = low <= spent <= high
    return join(
        [" ", mark("predicted"), tag("small", " inside the prediction" if inside else " outside the prediction")]
    )
