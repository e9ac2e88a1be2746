"""What a torture run does follows from its seed, and its verdict from what was written down."""

from itertools import islice, pairwise

import onnx
import pytest

from broker.commands import Ack
from broker.phases import Phase
from controller.deployment import begin
from controller.torture.book import FORGOTTEN_S, REST, TYPED, Book, Given
from controller.torture.plan import LONGEST_AWAY_S, Kind, deeds, kills
from controller.torture.variants import variants
from controller.torture.verdict import judge

TARGETS = ("broker", "controller", "fleet-1")


def given(command_id, way=TYPED, device_id="a", op="deploy", at=0.0):
    return Given(id=command_id, device_id=device_id, op=op, way=way, at=at)


def found(device_id="a", **facts):
    return {"device_id": device_id, "commands": {}, "doubled": (), "stuck": (), "faulty": None} | facts


def stored(command_id, phase, device_id="a"):
    new = begin(command_id=command_id, device_id=device_id, model="m", origin="rest", at=0.0)
    return type(new)(**{name: getattr(new, name) for name in new.__slots__} | {"phase": phase})


def test_the_same_seed_does_the_same_deeds_and_kills():
    first, again = (list(islice(deeds(7, devices=5, models=3), 500)) for _ in range(2))

    assert first == again != list(islice(deeds(8, devices=5, models=3), 500))
    assert {deed.kind for deed in first} == set(Kind)
    assert kills(7, run_s=600, targets=TARGETS) == kills(7, run_s=600, targets=TARGETS)


@pytest.mark.parametrize("run_s", [8.0, 60.0, 3_600.0])
def test_everything_is_killed_even_in_a_short_run_and_back_before_its_next_kill(run_s):
    planned = kills(1, run_s=run_s, targets=TARGETS)

    assert {kill.what for kill in planned} == set(TARGETS)
    for what in TARGETS:
        own = [kill for kill in planned if kill.what == what]
        assert all(one.at_s + one.away_s < other.at_s for one, other in pairwise(own))
    assert all(0 < kill.at_s < run_s and kill.away_s <= LONGEST_AWAY_S for kill in planned)


def test_the_variants_of_a_model_are_whole_models_with_bytes_of_their_own(tmp_path):
    made = variants(3)
    for name, content in made.items():
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(content)
        onnx.checker.check_model(onnx.load(path))

    assert len(set(made.values())) == 3


def test_the_book_knows_what_is_open_and_what_nobody_answered():
    book = Book()
    for name in ("t1", "t2", "t3"):
        book.add(given(name))
    book.hear("a", Ack(id="t1", op="deploy", state=Phase.ACCEPTED, attempt=1, seq=1))
    book.hear("a", Ack(id="t2", op="deploy", state=Phase.SUCCEEDED, attempt=1, seq=5))
    book.hear("a", Ack(id="t3", op="deploy", state=Phase.REJECTED, attempt=0, seq=0))

    assert book.open(1.0) == 2
    assert book.open(FORGOTTEN_S) == 0
    assert [each.id for each in book.unanswered()] == ["t3"]


def test_a_run_in_which_everything_ended_is_clean():
    verdict = judge(
        [given("d1", REST), given("t1"), given("p1", REST, op="ping")],
        [found(commands={"d1": "succeeded", "t1": "failed", "p1": "succeeded"})],
        [stored("d1", Phase.SUCCEEDED), stored("t1", Phase.FAILED)],
        [{"id": "p1", "device_id": "a", "op": "ping", "phase": "succeeded"}],
    )

    assert verdict.clean
    assert verdict.summary == {"trials": 3, "lost": 0, "doubled": 0, "stuck": 0, "bricked": 0}


FAULTS = {
    "a deployment that the controller forgot": ("lost", {"given": [given("d1", REST)]}),
    "a typed command that is in no journal": ("lost", {"given": [given("t1")]}),
    "a success that the device knows nothing of": ("lost", {"deployments": [stored("d1", Phase.SUCCEEDED)]}),
    "an end that both tell otherwise": (
        "lost",
        {"found": [found(commands={"d1": "rolled_back"})], "deployments": [stored("d1", Phase.SUCCEEDED)]},
    ),
    "a deployment given up that succeeded": (
        "lost",
        {"found": [found(commands={"d1": "succeeded"})], "deployments": [stored("d1", Phase.TIMED_OUT)]},
    ),
    "a command applied twice": ("doubled", {"found": [found(doubled=("d1: made active twice",))]}),
    "a command open on a device": ("stuck", {"found": [found(stuck=("d1: probing",))]}),
    "a deployment open in the store": ("stuck", {"deployments": [stored("d1", Phase.SENT)]}),
    "an order that nobody answered": (
        "stuck",
        {"orders": [{"id": "p1", "device_id": "a", "op": "ping", "phase": None}]},
    ),
    "a device without a model": ("bricked", {"found": [found(faulty="no model is active")]}),
}


@pytest.mark.parametrize("case", FAULTS)
def test_it_finds(case):
    kind, facts = FAULTS[case]
    told = {"given": [], "found": [found()], "deployments": [], "orders": []} | facts

    verdict = judge(told["given"], told["found"], told["deployments"], told["orders"])

    assert not verdict.clean
    assert {name: n for name, n in verdict.summary.items() if n and name != "trials"} == {kind: 1}


def test_a_cancel_that_crossed_the_end_is_no_loss():
    verdict = judge([], [found(commands={"d1": "succeeded"})], [stored("d1", Phase.CANCELLED)], [])

    assert verdict.clean


def test_an_earlier_life_of_words_that_were_typed_again_is_no_loss():
    again = [stored("h-1~1790000000", Phase.SUCCEEDED), stored("h-1", Phase.FAILED)]

    assert judge([], [found(commands={"h-1": "failed"})], again, []).clean
