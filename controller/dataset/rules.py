"""The rules that rows are judged by, in their order, with a version for each that moves when its decision does."""

from collections.abc import Mapping
from types import MappingProxyType

from controller.dataset.case import Case, Rule
from controller.dataset.measurement_rules import energy, latency, measured, possible, power
from controller.dataset.network_rules import identified, multiply_adds, named, parameters

ORDER: tuple[Rule, ...] = (named, identified, parameters, multiply_adds, latency, energy, power, measured, possible)

SAYS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "not_a_number": (1, "a cell holds no number"),
        "ambiguous_number": (1, "a number that could be two"),
        "impossible_figure": (1, "a figure that cannot be: negative, zero, absurd"),
        "ragged": (1, "another number of fields than the header"),
        "other_board": (1, "measured on another board than --device"),
        "no_board": (1, "no board is named"),
        "no_model": (1, "no model is named"),
        "failed_there": (1, "the benchmark itself failed"),
        "batch": (1, "measured in batches, not one inference at a time"),
        "half_precision": (1, "a variant whose name did not say so"),
        "unknown_model": (1, "not in the catalogue: only the row's own figures"),
        "swapped": (1, "params_m and gflops stood in each other's column"),
        "params_unit": (1, "parameters not counted in millions"),
        "params_off": (1, "parameters that the size of the file contradicts"),
        "params_contradict": (1, "parameters of another network than the name's"),
        "variant": (1, "parameters and file of a variant of the network"),
        "size_unknown": (1, "operations not checked: the input's size is not told"),
        "halved_macs": (1, "half of the operations that the network needs"),
        "doubled_macs": (1, "twice the operations that the network needs"),
        "other_size": (1, "operations of another size of the input"),
        "macs_off": (1, "operations that the catalogue contradicts"),
        "macs_contradict": (1, "operations of another network than the name's"),
        "latency_unit": (1, "a latency in another unit than its column's"),
        "latency_is_duration": (1, "the duration of a run where a latency belongs"),
        "latency_from_duration": (1, "latency taken from the run's duration"),
        "latency_contradicts_throughput": (1, "latency × throughput is not 1"),
        "inferences_unknown": (1, "energy of a run of unknown many inferences"),
        "average_contradicts_runs": (1, "an average that is not that of its runs"),
        "energy_contradicts_power": (1, "energy is not power × latency"),
        "power_unit": (1, "a power in another unit than its column's"),
        "power_below_idle": (1, "less power than the board draws idle"),
        "power_above_supply": (1, "more power than the supply gives"),
        "nothing_measured": (1, "no energy and no latency"),
        "no_energy": (1, "a latency without an energy"),
        "duplicate": (1, "measured twice: one is kept"),
    }
)
"""By code: the version of the rule, and what it finds."""


def judged(case: Case) -> Case:
    """Return `case` after every rule that looks at one row has looked at it."""
    for rule in ORDER:
        case = rule(case)
    return case
