"""Holds a row's parameters and multiply-adds against the catalogue's, and repairs what can be explained."""

from dataclasses import replace
from typing import NamedTuple

from controller.dataset.case import Case, Effect, Finding
from controller.dataset.reference import Network
from controller.models.naming import variant_name

SAME_PARAMS = 0.05
"""Relative: parameters are counted alike by everybody, but for buffers and a distillation head."""

SAME_MACS = 1.25
"""A factor: counters differ by whether they count attention, activations and normalisation."""

SAME_ONCE_EXPLAINED = 1.12
"""A factor, for a figure that was halved, doubled or of another size; closer, as there are several ways to be met."""

BETWEEN_COLUMNS = 0.15
"""Relative: gflops are twice gmacs, rounded to one digit in many files."""

SWAPPED_MACS = (0.4, 2.5)
"""Of what stands for params_m to the catalogue's gmacs where columns were swapped: another size of input, or flops."""

BYTES_PER_PARAM = (4, 2, 1)

STRANGER = Finding(code="unknown_model", effect=Effect.NOTED, because="not in the catalogue: figures are the row's own")


def named(case: Case) -> Case:
    """Give a network that ran in fp16 the name of that variant, where only a column says so."""
    if not case.half or case.variant != "fp32" or "fp16" in case.network:
        return case
    model = variant_name(case.row.model, "fp16")
    return replace(case, variant="fp16").repaired("half_precision", "a column says fp16", model=model)


def identified(case: Case) -> Case:
    """Say what cannot be known of a row: its name, whose measurement it is, its network."""
    if not case.row.model.strip():
        return case.rejected("no_model", "no model is named", "model")
    if not case.row.device:
        return case.rejected("no_board", "no board is named: --device", "device")
    if case.row.error:
        return case.rejected("failed_there", f"the benchmark failed: {case.row.error[:60]}", "error")
    if case.batch is not None and case.batch > 1:
        return case.rejected("batch", f"measured in batches of {case.batch}: not one inference", "model")
    if case.known is None:
        return case.with_finding(STRANGER)
    return case


def parameters(case: Case) -> Case:
    """Repair parameters that stand in another column or unit, or that the size of the file contradicts."""
    known, params = case.known, case.row.params_m
    if known is None or params is None or _same(params, known.params_m):
        return case
    if _swapped(case, known):
        because = f"in each other's column: {known.name} has {known.params_m:.4g} M parameters"
        were_macs = _near(params, known.gmacs(case.row.input_res), SAME_MACS)
        gflops = params * 2 if were_macs else params
        return case.repaired("swapped", because, params_m=case.row.gflops, gflops=gflops)
    for times, per in ((1e6, "single ones"), (1e3, "thousands")):
        if _same(params / times, known.params_m):
            return case.repaired("params_unit", f"counted in {per}, not millions", params_m=params / times)
    return _by_size(case, known, params)


def multiply_adds(case: Case) -> Case:
    """Repair gmacs and gflops that are half, double or of another size; gflops end as twice gmacs."""
    known, row = case.known, case.row
    if known is None or (row.gmacs is None and row.gflops is None) or _rejected(case):
        return case
    if row.input_res is None:
        return _unsized(case, known)
    ways = {
        "gmacs": _way(row.gmacs, known, row.input_res),
        "gflops": _way(row.gflops / 2 if row.gflops is not None else None, known, row.input_res),
    }
    if not any(ways.values()):
        return _from_catalogue(case, known)
    for field, way in ways.items():
        if way is not None and way.code:
            settled = way.gmacs * (2 if field == "gflops" else 1)
            case = case.repaired(way.code, f"{field}: {way.because}", **{field: settled})
    return _agreeing(case, known, ways)


class _Way(NamedTuple):
    """How a figure becomes what the catalogue knows: `code` of the rule, empty when it is that already."""

    gmacs: float
    code: str
    because: str


def _unsized(case: Case, known: Network) -> Case:
    """Say of a row without the size of its input that its operations are not those at the catalogue's size."""
    row = case.row
    half = row.gflops / 2 if row.gflops is not None else None
    ways = [_way(each, known, None) for each in (row.gmacs, half) if each]
    if all(way is not None and not way.code for way in ways):
        return case
    return case.noted("size_unknown", "the size of the input is not told, so operations are not checked")


def _way(gmacs: float | None, known: Network, input_res: int | None) -> _Way | None:
    """Return how `gmacs` is explained, None when it is absent or by nothing."""
    if gmacs is None:
        return None
    truth, published = known.gmacs(input_res), known.published(input_res)
    if _near(gmacs, truth, SAME_MACS) or (published and _near(gmacs, published, SAME_MACS)):
        return _Way(gmacs, "", "")
    for times, code, what in ((2, "halved_macs", "half"), (0.5, "doubled_macs", "twice")):
        if _near(gmacs * times, truth, SAME_ONCE_EXPLAINED):
            return _Way(gmacs * times, code, f"{what} what {known.name} needs, {truth:.3g} GMACs")
    for side, elsewhere in known.gmacs_at.items():
        for times in (1, 2, 0.5):
            if side != input_res and _near(gmacs * times, elsewhere, SAME_ONCE_EXPLAINED):
                return _Way(
                    gmacs * times * truth / elsewhere, "other_size", f"of {side}×{side}, but it ran at {input_res}"
                )
    return None


def _from_catalogue(case: Case, known: Network) -> Case:
    row, truth = case.row, known.gmacs(case.row.input_res)
    told = row.gmacs if row.gmacs is not None else (row.gflops or 0.0) / 2
    because = f"{told:.3g} GMACs, where {known.name} needs {truth:.3g}"
    if row.params_m is None:
        return case.rejected("macs_contradict", f"{because}: is it that network?", "gmacs")
    fields = {
        name: value for name, value in (("gmacs", truth), ("gflops", 2 * truth)) if getattr(row, name) is not None
    }
    return case.repaired("macs_off", f"{because}; its parameters are right", **fields)


def _agreeing(case: Case, known: Network, ways: dict[str, _Way | None]) -> Case:
    """Return `case` with gflops twice its gmacs, by whichever of the two was explained."""
    gmacs, gflops = case.row.gmacs, case.row.gflops
    if gmacs is None or gflops is None or abs(gflops / (2 * gmacs) - 1) <= BETWEEN_COLUMNS:
        return case
    if ways["gmacs"] is not None:
        because = f"gflops contradict gmacs, which agree with {known.name}"
        return case.repaired("macs_off", because, gflops=2 * gmacs)
    return case.repaired("macs_off", f"gmacs contradict gflops, which agree with {known.name}", gmacs=gflops / 2)


def _swapped(case: Case, known: Network) -> bool:
    params, gflops = case.row.params_m, case.row.gflops
    if params is None or gflops is None or not _same(gflops, known.params_m):
        return False
    low, high = SWAPPED_MACS
    return low <= params / known.gmacs(case.row.input_res) <= high


def _by_size(case: Case, known: Network, params: float) -> Case:
    """Decide between the row's parameters and the catalogue's by the size of the file."""
    said = f"{params:.4g} M where {known.name} has {known.params_m:.4g}"
    size = case.row.size_mb
    if size is None:
        return case.rejected("params_contradict", f"{said}: is it that network?", "params_m")
    own, theirs = (any(_same(size / each, count) for each in BYTES_PER_PARAM) for count in (params, known.params_m))
    if own:
        return case.noted("variant", f"{said}, but its file holds as many: a variant of it")
    if theirs:
        return case.repaired("params_off", f"{said}, and so many bytes are in its file", params_m=known.params_m)
    return case.rejected("params_contradict", f"{said}, and a file of {size:.4g} MB: is it that network?", "params_m")


def _rejected(case: Case) -> bool:
    return any(finding.code in {"params_contradict", "variant"} for finding in case.findings)


def _same(left: float, right: float) -> bool:
    return abs(left / right - 1) <= SAME_PARAMS


def _near(left: float, right: float, factor: float) -> bool:
    return right / factor <= left <= right * factor
