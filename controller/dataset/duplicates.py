"""Keeps one of the rows that measured the same network on the same board in the same way."""

from collections.abc import Iterable, Iterator

from controller.dataset.case import Case, Status

SAME_NETWORK = 0.02
"""Relative difference of parameters up to which two names of an architecture are the same network."""

Key = tuple[object, ...]


def one_of_each(cases: Iterable[Case]) -> Iterator[Case]:
    """Yield `cases`; of those that are the same measurement all but the first that stands are rejected."""
    kept: dict[Key, list[Case]] = {}
    for case in cases:
        if case.status is Status.REJECTED:
            yield case
            continue
        others = kept.setdefault(_key(case), [])
        twin = next((other for other in others if _same(other.row.params_m, case.row.params_m)), None)
        if twin is None:
            others.append(case)
            yield case
        else:
            name = "" if twin.row.model == case.row.model else f", {twin.row.model}, the same network,"
            yield case.rejected("duplicate", f"line {twin.line}{name} is kept", "model")


def _key(case: Case) -> Key:
    """Return what tells measurements apart; a `source` or a time does where the file has one."""
    row = case.row
    return (
        *(case.network, case.variant, row.quantized, row.input_res or _native(case)),
        *(row.device, row.runtime, row.version, row.threads, row.meter, row.at, row.source, row.artifact_sha256),
    )


def _native(case: Case) -> int | None:
    return next(iter(case.known.gmacs_at)) if case.known else None


def _same(left: float | None, right: float | None) -> bool:
    return left is None or right is None or abs(left - right) <= SAME_NETWORK * max(left, right)
