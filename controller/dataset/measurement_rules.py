"""Judges what was measured in a row: times against rates, energy per inference, and power that a board can have."""

from dataclasses import replace

from controller.dataset.boards import PARTS, board
from controller.dataset.case import Case, Status
from controller.dataset.limits import LIMITS

SAME = 0.1
"""Relative: of latency × throughput to 1, of energy to power × latency."""

SAME_RUNS = 0.05
"""Relative: of an average to the mean of its runs."""

OVERHEAD = 1.5
"""A run may last so much longer than its inferences: it is started, and its input prepared."""

LEAST_W, MOST_W = 0.2, 500.0
"""What a board draws of which nothing is known, while it runs a network."""

STEPS = ((1e3, "ms"), (1e6, "µs"))


def latency(case: Case) -> Case:
    """Hold latency against throughput, the run's duration and the number of inferences."""
    row = case.row
    case = _against_throughput(case) if row.latency_avg_s and row.throughput_iter_per_s else case
    duration, count = case.duration_s, row.iterations
    if duration is None or count is None:
        return case
    if case.row.latency_avg_s is None:
        seconds = duration / count
        case = case.noted("latency_from_duration", f"{duration:g} s of a run for {count} inferences")
        case = replace(case, row=replace(row, latency_avg_s=seconds))
        agrees = row.throughput_iter_per_s is None or _one(seconds * row.throughput_iter_per_s)
        return case if agrees else _contradicted(case, seconds * (row.throughput_iter_per_s or 0))
    told_otherwise = row.throughput_iter_per_s is not None
    if count > 1 and not told_otherwise and abs(case.row.latency_avg_s / duration - 1) <= SAME:
        because = f"as long as the whole run of {count} inferences"
        return case.repaired("latency_is_duration", because, latency_avg_s=case.row.latency_avg_s / count)
    return case


def energy(case: Case) -> Case:
    """Bring energy to mJ per inference where it is established how many inferences it is of; else set it aside."""
    row, some, run = case.row, case.energy_some_mj, case.energy_run_mj
    case = _average(case)
    if row.energy_mj is not None or (some is None and run is None):
        return case
    if run is None and some is not None:
        return _of_run_or_inference(case, some)
    assert run is not None
    return _of_run(case, run)


def power(case: Case) -> Case:
    """Hold energy against power and latency, and the power against what the board can draw."""
    row = case.row
    if row.energy_mj is None or row.latency_avg_s is None:
        return case
    implied_mw = row.energy_mj / row.latency_avg_s
    if row.power_avg_mw is not None:
        case = _against_power(case, row.power_avg_mw, implied_mw)
    return _possible(case, implied_mw)


def measured(case: Case) -> Case:
    """Set a row aside that has neither an energy nor a latency; say of one without energy that it has none."""
    row = case.row
    if row.energy_mj is None and row.latency_avg_s is None:
        return case if case.status is Status.REJECTED else case.rejected("nothing_measured", "no energy and no latency")
    if row.energy_mj is None and case.status is not Status.REJECTED:
        return case.noted("no_energy", "a latency without an energy")
    return case


def possible(case: Case) -> Case:
    """Set a row aside whose figures, as they were brought to our units or repaired, can no longer be."""
    for name, (low, high) in LIMITS.items():
        value = getattr(case.row, name, None)
        if value is not None and not low <= value <= high:
            return case.rejected("impossible_figure", f"{name} would be {value:.4g}", name)
    return case


def _against_throughput(case: Case) -> Case:
    row = case.row
    assert row.latency_avg_s is not None
    assert row.throughput_iter_per_s is not None
    product = row.latency_avg_s * row.throughput_iter_per_s
    if _one(product):
        return case
    for step, unit in STEPS:
        if _one(product / step):
            because = f"in {unit}: latency × throughput is {product:.4g}"
            return case.repaired("latency_unit", because, latency_avg_s=row.latency_avg_s / step)
        if _one(product * step):
            because = f"in s, not {unit}: latency × throughput is {product:.4g}"
            return case.repaired("latency_unit", because, latency_avg_s=row.latency_avg_s * step)
    if row.iterations is not None and _one(product / row.iterations):
        because = f"of the run: latency × throughput is {product:.4g}, as many as its inferences"
        return case.repaired("latency_is_duration", because, latency_avg_s=row.latency_avg_s / row.iterations)
    return _contradicted(case, product)


def _contradicted(case: Case, product: float) -> Case:
    because = f"latency × throughput is {product:.3g}, not 1"
    return case.rejected("latency_contradicts_throughput", because, "latency_avg_s")


def _average(case: Case) -> Case:
    mean = sum(case.runs_mj) / max(len(case.runs_mj), 1)
    if mean <= 0 or case.energy_some_mj is None:
        return case
    off = case.energy_some_mj / mean - 1
    if abs(off) <= SAME_RUNS:
        return case
    side = "above" if off > 0 else "below"
    return case.noted("average_contradicts_runs", f"{abs(off):.0%} {side} the mean of its {len(case.runs_mj)} runs")


def _of_run_or_inference(case: Case, some_mj: float) -> Case:
    """Decide by the measured power which of the two an energy is; a run's where only inferences are counted."""
    row = case.row
    if row.power_avg_mw and row.latency_avg_s:
        inferences = some_mj / (row.power_avg_mw * row.latency_avg_s)
        if _one(inferences):
            return replace(case, row=replace(row, energy_mj=some_mj))
        if row.iterations is None or not _one(inferences / row.iterations):
            because = f"the energy is {inferences:.4g} times power × latency"
            return _set_aside(case, some_mj, because)
    elif row.latency_avg_s and (row.iterations or 1) > 1:
        one_mw = some_mj / row.latency_avg_s
        run_mw = one_mw / (row.iterations or 1)
        if _likely(case, one_mw) and not _likely(case, run_mw):
            because = f"of a run it would be {run_mw / 1e3:.2g} W, of one inference {one_mw / 1e3:.2g} W"
            return _set_aside(case, some_mj, because)
    return _of_run(case, some_mj)


def _likely(case: Case, power_mw: float) -> bool:
    """Return whether the row's board can draw `power_mw`, by wide bounds where nothing is known of it."""
    known = board(case.row.device)
    least_w, most_w = known.idle_w or LEAST_W, known.supply_w or MOST_W
    return least_w <= power_mw / 1e3 <= most_w


def _of_run(case: Case, run_mj: float) -> Case:
    row, duration = case.row, case.duration_s
    if row.iterations is None:
        return _set_aside(case, run_mj, "the energy of a run, of how many inferences is not known")
    if duration is not None and row.latency_avg_s is not None:
        share = duration / (row.latency_avg_s * row.iterations)
        if not 1 - SAME <= share <= OVERHEAD:
            because = f"{row.iterations} inferences of {row.latency_avg_s:.4g} s are not {duration:.4g} s"
            return _set_aside(case, run_mj, because)
    return replace(case, energy_run_mj=run_mj, row=replace(row, energy_mj=run_mj / row.iterations))


def _set_aside(case: Case, run_mj: float, because: str) -> Case:
    kept = replace(case, energy_run_mj=run_mj)
    return kept.rejected("inferences_unknown", because, "energy_mj")


def _against_power(case: Case, power_mw: float, implied_mw: float) -> Case:
    ratio = implied_mw / power_mw
    if _one(ratio):
        return case
    for step, unit in ((1e3, "W"), (1e-3, "µW")):
        if _one(ratio / step):
            because = f"in {unit}: energy / latency is {implied_mw:.4g} mW"
            return case.repaired("power_unit", because, power_avg_mw=power_mw * step)
    because = f"energy / latency is {implied_mw:.4g} mW, the power {power_mw:.4g}"
    return case.rejected("energy_contradicts_power", because, "energy_mj")


def _possible(case: Case, implied_mw: float) -> Case:
    row, known = case.row, board(case.row.device)
    idle_mw = row.power_idle_mw or (known.idle_w * 1e3 if known.idle_w else None)
    whole = not any(part in row.meter.lower() for part in PARTS)
    if idle_mw and implied_mw < idle_mw and (whole or row.power_idle_mw):
        because = f"{implied_mw / 1e3:.2f} W, less than {idle_mw / 1e3:.2g} W idle"
        return case.rejected("power_below_idle", because, "energy_mj")
    if known.supply_w and implied_mw > known.supply_w * 1e3:
        because = f"{implied_mw / 1e3:.4g} W, more than the supply's {known.supply_w:g} W"
        return case.rejected("power_above_supply", because, "energy_mj")
    return case


def _one(ratio: float) -> bool:
    return abs(ratio - 1) <= SAME
