"""The frontier holds whom nobody beats, names who beats the rest, and never compares what cannot be compared."""

from hypothesis import given
from hypothesis import strategies as st

from controller.predict.pareto import Candidate, front


def model(name, top1_pct, energy_mj, latency_ms=None, *, task="1000 labels", low=None, high=None):
    return Candidate(
        name=name,
        task=task,
        top1_pct=top1_pct,
        energy_mj=energy_mj,
        low_mj=low,
        high_mj=high,
        latency_ms=latency_ms,
    )


def dominated(found):
    return {p.candidate.name: p.dominated_by for p in found.placed if p.dominated_by}


def test_who_is_dearer_and_less_accurate_is_dominated_by_name():
    found = front([model("a", 70, 10), model("b", 80, 20), model("c", 75, 30), model("d", 69, 40)])

    assert dominated(found) == {"c": ("b",), "d": ("a", "b")}


def test_a_faster_one_stays_on_the_frontier_when_all_latencies_are_known():
    slow, fast = model("slow", 80, 10, 100), model("fast", 80, 20, 10)

    assert dominated(front([slow, fast])) == {}
    assert front([slow, fast]).with_latency == ("1000 labels",)


def test_latency_is_no_axis_when_it_is_unknown_of_one():
    found = front([model("slow", 80, 10), model("fast", 80, 20, 10)])

    assert dominated(found) == {"fast": ("slow",)}
    assert found.with_latency == ()


def test_models_of_different_tasks_never_dominate_each_other():
    assert dominated(front([model("digits", 98, 1, task="10 labels"), model("imagenet", 75, 100)])) == {}


def test_equal_ones_are_both_kept():
    assert dominated(front([model("a", 70, 10), model("b", 70, 10)])) == {}


def test_who_has_no_accuracy_or_no_energy_is_kept_apart_with_the_reason():
    found = front([model("noise", None, 10), model("new", 80, None), model("a", 70, 10)])

    assert {u.candidate.name: u.reason for u in found.unplaced} == {
        "noise": "its accuracy was never measured",
        "new": "no energy is known or predicted on this type of device: measure it first",
    }
    assert [p.candidate.name for p in found.placed] == ["a"]


def test_it_is_sure_only_when_the_intervals_do_not_touch():
    near = front([model("a", 80, 10, low=8, high=13), model("b", 70, 15, low=12, high=18)])
    far = front([model("a", 80, 10, low=8, high=12), model("b", 70, 15, low=12, high=18)])

    assert [p.surely for p in near.placed] == [False, False]
    assert [p.surely for p in far.placed] == [False, True]


FIGURES = st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(1, 5))


@given(st.lists(FIGURES, max_size=12))
def test_every_dominated_one_is_beaten_by_a_member_and_no_member_by_anyone(figures):
    candidates = [model(f"m{i}", *each) for i, each in enumerate(figures)]
    found = front(candidates)
    members = [p.candidate for p in found.placed if not p.dominated_by]

    def beats(one, other):
        a = (one.energy_mj, -one.top1_pct, one.latency_ms)
        b = (other.energy_mj, -other.top1_pct, other.latency_ms)
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    assert len(found.placed) == len(candidates)
    for each in found.placed:
        beaten = {c.name for c in members if beats(c, each.candidate)}
        assert set(each.dominated_by) == beaten
        assert bool(beaten) == any(beats(c, each.candidate) for c in candidates)
