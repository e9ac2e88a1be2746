"""What an arriving command means: new, the same again, its completion, or a conflict."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from broker.commands import ArtifactRef, Command
from broker.phases import Phase
from edge_agent.admission import Arrival, Complete, Refuse, Repeat, Start, decide, tombstone

P = Phase
ARTIFACT = ArtifactRef(url="http://h/x", sha256="a" * 64, size=3)


def arrival(*, at=0.0, hand_typed=False, retained=False, **command):
    return Arrival(
        command=Command(**{"op": "deploy", "id": "c1", "model": "m", "artifact": ARTIFACT, "gen": 5, **command}),
        at=at,
        hand_typed=hand_typed,
        retained=retained,
    )


def started(known=None, device_gen=4, **command):
    decision = decide(arrival(**command), known, gen=device_gen)
    assert isinstance(decision, Start)
    return decision.entry


def test_a_new_command_is_accepted():
    entry = started()

    assert (entry.phase, entry.attempt, entry.gen) == (P.ACCEPTED, 1, 5)


def test_a_lower_generation_is_superseded_at_birth():
    entry = started(device_gen=6)

    assert entry.phase is P.SUPERSEDED
    assert "5" in entry.reason
    assert "6" in entry.reason


def test_a_deploy_without_generation_gets_the_next_one():
    decision = decide(arrival(gen=None), None, gen=7)

    assert decision.entry.gen == 8


def test_the_same_command_again_only_repeats_its_state():
    known = replace(started(), phase=P.SUCCEEDED)

    assert decide(arrival(attempt=2, ts=9.0), known, gen=5) == Repeat(known)


def test_another_payload_under_the_same_id_is_a_conflict_that_is_no_news():
    decision = decide(arrival(model="other"), started(), gen=5)

    assert isinstance(decision, Refuse)
    assert (decision.ack.state, decision.ack.attempt, decision.ack.seq) == (P.REJECTED, 0, 0)
    assert decision.ack.error.code == "id_conflict"


def test_a_request_by_name_is_completed_once():
    request = replace(started(artifact=None, gen=None), phase=P.WAITING)

    done = decide(arrival(gen=5), request, gen=4)

    assert isinstance(done, Complete)
    assert done.entry.command.artifact == ARTIFACT
    assert (done.entry.attempt, done.entry.seq) > (request.attempt, request.seq)
    assert isinstance(decide(arrival(gen=5), done.entry, gen=5), Repeat)
    assert isinstance(decide(arrival(artifact=None, gen=None), done.entry, gen=5), Repeat)
    other = replace(ARTIFACT, sha256="b" * 64)
    assert isinstance(decide(arrival(artifact=other), done.entry, gen=5), Refuse)


def test_a_completion_that_comes_too_late_repeats_how_the_request_ended():
    ended = replace(started(artifact=None), phase=P.FAILED)

    assert decide(arrival(), ended, gen=4) == Repeat(ended)


def test_an_old_completion_does_not_complete_a_newer_life():
    request = replace(started(artifact=None, gen=None), phase=P.WAITING, gen=9)

    assert decide(arrival(gen=5), request, gen=8) == Repeat(request)


def test_a_hand_typed_command_is_the_same_for_a_minute_and_a_new_life_after():
    first = replace(started(hand_typed=True, gen=None, id="h-1"), phase=P.SUCCEEDED, created_at=100.0)
    early = arrival(at=159.0, hand_typed=True, gen=None, id="h-1")
    late = arrival(at=161.0, hand_typed=True, gen=None, id="h-1")

    assert decide(early, first, gen=5) == Repeat(first)
    again = decide(late, first, gen=5)
    assert isinstance(again, Start)
    assert (again.entry.attempt, again.entry.phase) == (2, P.ACCEPTED)
    assert again.entry.seq > first.seq


def test_a_clock_that_is_set_between_two_typings_does_not_make_them_two():
    unset, today = 1_483_228_800.0, 1_790_000_000.0
    first = replace(started(hand_typed=True, gen=None, id="h-1"), phase=P.SUCCEEDED, created_at=unset)
    typed = arrival(at=today, hand_typed=True, gen=None, id="h-1")

    assert decide(replace(typed, apart_s=4.0), first, gen=5) == Repeat(first)
    assert decide(typed, first, gen=5) == Repeat(first)
    assert isinstance(decide(replace(typed, apart_s=61.0), first, gen=5), Start)


def test_a_retained_hand_typed_command_is_never_a_new_life():
    first = replace(started(hand_typed=True, gen=None), phase=P.SUCCEEDED, created_at=100.0)

    assert decide(arrival(at=900.0, hand_typed=True, retained=True, gen=None), first, gen=5) == Repeat(first)


def test_a_hand_typed_command_still_at_work_is_not_begun_again():
    first = replace(started(hand_typed=True, gen=None), phase=P.DOWNLOADING, created_at=100.0)

    assert decide(arrival(at=900.0, hand_typed=True, gen=None), first, gen=5) == Repeat(first)


def test_a_deploy_that_was_cancelled_before_it_came_is_refused():
    grave = tombstone("c1", now=1.0, reason="over")

    decision = decide(arrival(), grave, gen=4)

    assert decision == Repeat(grave)
    assert decision.entry.phase is P.CANCELLED


@given(
    phase=st.sampled_from(sorted(P)),
    commands=st.lists(st.tuples(st.sampled_from(["m", "n"]), st.booleans(), st.none() | st.integers(0, 9)), max_size=8),
)
def test_whatever_arrives_an_id_never_goes_backwards_and_an_end_stays(phase, commands):
    known = replace(started(), phase=phase)
    for model, whole, gen in commands:
        decision = decide(arrival(model=model, artifact=ARTIFACT if whole else None, gen=gen), known, gen=5)
        if isinstance(decision, (Start, Complete)):
            assert not known.terminal
            assert (decision.entry.attempt, decision.entry.seq) > (known.attempt, known.seq)
            known = decision.entry
