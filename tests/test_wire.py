"""Payloads: every message survives the wire, and what is outside the contract is refused with a sentence."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.commands import Ack, Command, Desired, hand_typed_id
from broker.energy import mj_from_mwh, mwh_from_mj
from broker.errors import WireError
from broker.messages import Energy, Info, LastCommand, Latency, State, Status, Telemetry
from broker.phases import CONTROLLER_OWNED, DEVICE_OWNED, NEXT, TERMINAL, Phase
from broker.topics import CMD, ROUTES
from broker.wire import MAX_EXACT_INT, MAX_PAYLOAD_BYTES, decode, decode_command, decode_without_msgspec, encode
from controller import quick
from controller.storage.encoding import encoded

st.register_type_strategy(int, st.integers(-MAX_EXACT_INT, MAX_EXACT_INT))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
documents = st.none() | st.dictionaries(st.text(max_size=5), json_values, max_size=3)
st.register_type_strategy(Command, st.builds(Command, op=st.text(max_size=8), input=json_values, config=documents))
st.register_type_strategy(Desired, st.builds(Desired, gen=st.integers(0, 9), config=documents.filter(bool)))
st.register_type_strategy(Ack, st.builds(Ack, result=documents))
st.register_type_strategy(LastCommand, st.builds(LastCommand, result=documents))
samples = st.builds(
    Telemetry, ts=st.floats(0, 2e9), session=st.text(max_size=8), seq=st.integers(0, MAX_EXACT_INT), batch=st.just(())
)
KINDS = sorted({route.kind for route in ROUTES}, key=lambda kind: kind.__name__)


def messages(kind):
    return samples if kind is Telemetry else st.from_type(kind)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(KINDS))
def test_every_message_survives_the_wire_with_and_without_msgspec(data, kind):
    message = data.draw(messages(kind))

    payload = encode(message)

    # An empty record inside a message is absent on the wire, so what is read again is what counts.
    once = decode(kind, payload)
    assert encode(once) == payload
    assert decode_without_msgspec(kind, payload) == once


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()), st.sampled_from(KINDS))
def test_any_bytes_are_a_message_or_refused_and_both_readers_agree(payload, kind):
    outcomes = []
    for read in (decode, decode_without_msgspec):
        try:
            outcomes.append(read(kind, payload))
        except WireError as error:
            assert error.code == "malformed"
            outcomes.append("refused")

    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_oversize_payload_is_refused_before_it_is_read(kind):
    with pytest.raises(WireError) as refused:
        decode(kind, b" " * (MAX_PAYLOAD_BYTES + 1))

    assert refused.value.code == "oversize"


def test_a_deeply_nested_payload_is_refused():
    bomb = b'{"op":"infer","input":' + b"[" * 20_000 + b"]" * 20_000 + b"}"

    for read in (decode, decode_without_msgspec):
        with pytest.raises(WireError):
            read(Command, bomb)


def test_a_refusal_names_the_field():
    with pytest.raises(WireError, match=r"max_energy_mj"):
        decode(Command, b'{"op":"deploy","max_energy_mj":"lots"}')


@pytest.mark.parametrize("seq", ["1.0", "1e3", "true", '"1"', "9007199254740993", "null"])
def test_a_whole_number_is_written_as_one_for_both_readers(seq):
    payload = f'{{"ts":1,"session":"s","seq":{seq}}}'.encode()

    for read in (decode, decode_without_msgspec):
        with pytest.raises(WireError):
            read(Telemetry, payload)


def test_unknown_fields_are_ignored_and_absent_ones_are_none():
    status = decode(Status, b'{"online":true,"session":"b1-1","colour":"red"}')

    assert status == Status(online=True, session="b1-1")
    assert b"wake_at" not in encode(status)


@pytest.mark.parametrize("word", [b"ping", b" help\n", b"stop"])
def test_a_bare_word_is_a_command(word):
    assert decode_command(word) == Command(op=word.strip().decode())


@pytest.mark.parametrize("payload", [b"deploy", b"dance", b'{"op":"dance"}'])
def test_an_op_that_cannot_stand_or_is_unknown_is_refused_with_the_known_ones(payload):
    with pytest.raises(WireError) as refused:
        CMD.decode(payload)

    assert refused.value.code == "unsupported"
    assert "deploy" in refused.value.hint


def test_a_budget_may_be_given_in_mj_or_in_mwh_per_500_inferences():
    assert decode_command(b'{"op":"deploy","model":"m","max_energy_mj":360}').budget_mj == 360
    assert decode_command(b'{"op":"deploy","model":"m","max_energy":50}').budget_mj == 360
    assert decode_command(b'{"op":"deploy","model":"m","budget":{"energy_mj":7}}').budget_mj == 7
    assert mwh_from_mj(mj_from_mwh(50)) == 50


def test_two_commands_are_the_same_whatever_their_delivery():
    first = decode_command(b'{"op":"deploy","model":"m","ts":1,"attempt":1}')
    again = decode_command(b'{"op":"deploy","model":"m","ts":9,"attempt":2}')
    other = decode_command(b'{"op":"deploy","model":"n"}')

    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_the_same_typing_gives_the_same_id():
    assert hand_typed_id(b"ping") == hand_typed_id(b"ping") != hand_typed_id(b"ping ")
    assert len(hand_typed_id(b"ping")) == len("h-") + 12


def test_a_sample_must_say_when_and_by_whom():
    with pytest.raises(WireError):
        decode(Telemetry, b'{"cpu_usage_percent":3}')


def test_every_phase_has_one_owner_and_terminal_phases_have_no_next():
    assert CONTROLLER_OWNED | DEVICE_OWNED | TERMINAL == set(Phase) == set(NEXT)
    assert not CONTROLLER_OWNED & DEVICE_OWNED
    assert all(not NEXT[phase] for phase in TERMINAL)
    assert all(NEXT[phase] for phase in set(Phase) - TERMINAL)


def test_messages_that_agents_send_are_readable_by_their_own_route():
    assert decode(Ack, encode(Ack(id="a", op="ping", state=Phase.SUCCEEDED))).state is Phase.SUCCEEDED
    assert decode(Info, encode(Info(device_type="generic"))).device_type == "generic"
    assert decode(State, encode(State(rev=1, session="s"))).phase == "idle"


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=100, deadline=None)
@given(samples.map(encode) | json_values.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200))
def test_what_is_read_quickly_is_what_is_read(payload):
    quickly = quick.read(payload)

    if quickly is not None:
        assert decode(Telemetry, encoded(quickly).encode()) == decode(Telemetry, payload)


def test_a_sample_as_devices_send_it_is_read_quickly_and_a_doubtful_one_is_not():
    plain = Telemetry(ts=1e9, session="s", seq=1, energy=Energy(source="pmic"), latency_ms=Latency(p50=1, p95=2, max=3))

    assert quick.read(encode(plain)).energy.source == "pmic"
    assert quick.read(encode(Telemetry(batch=(plain,)))) is None
    assert quick.read(b'{"ts":1,"session":"s","seq":12345678901234567}') is None
    counting = b'{"ts":1,"session":"s","seq":1,"inputs":{"source":"s"'
    assert quick.read(counting + b"}}").inputs.answers == {}
    assert quick.read(counting + b',"answers":{"a":9007199254740993}}}') is None
    assert quick.read(b'{"ts":1,"session":"s"}') is None
