"""Whatever is sent to an agent, it answers and lives: what kills it would come again at each connection."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.commands import OPS
from broker.phases import Phase
from tests.agent_bench import running

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WHOLE = st.integers(-3, 9) | st.sampled_from([2**53, -(2**40)])
NUMBER = st.floats() | st.integers(-3, 3) | st.sampled_from([0, -1.0, 1e308, 86_400])
HOST = st.sampled_from(
    ["http://127.0.0.1:9/x", "http://[::1", "http://[bad]/x", "ftp://h/x", "", "http://h:99999/", "\0"]
)
ARTIFACT = st.fixed_dictionaries(
    {"url": HOST | st.text(max_size=9), "sha256": st.sampled_from(["ab" * 32, "AB" * 32, "zz", ""]), "size": WHOLE},
    optional={"format": st.sampled_from(["onnx", "tflite", "../x", ""]), "sig": st.text(max_size=5)},
)
WHEN = st.fixed_dictionaries(
    {},
    optional={
        "soc_min_pct": NUMBER,
        "charging": st.none() | st.booleans(),
        "temp_max_c": NUMBER,
        "window": st.sampled_from(["00:00-05:00", "1-2", "05:00+02:00-06:00", "24:00-24:00"]) | st.text(max_size=9),
    },
)
COMMAND = st.fixed_dictionaries(
    {"op": st.sampled_from(OPS)},
    optional={
        "id": st.sampled_from(["a", "b", "../../x", "x" * 200, "\ud800", "", "d1"]),
        "gen": WHOLE,
        "ts": NUMBER,
        "ttl_s": NUMBER,
        "attempt": st.integers(-1, 3),
        "model": st.text(max_size=5),
        "max_energy_mj": NUMBER,
        "max_energy": NUMBER,
        "max_latency_ms": NUMBER,
        "artifact": ARTIFACT,
        "budget": st.fixed_dictionaries({}, optional={"energy_mj": NUMBER, "latency_ms": NUMBER}),
        "predict": st.fixed_dictionaries({}, optional={"energy_mj": NUMBER}),
        "when": WHEN,
        "probe": st.fixed_dictionaries({}, optional={"warmup": st.integers(-1, 2), "inferences": st.integers(-1, 5)}),
        "soak_s": NUMBER,
        "on_fail": st.sampled_from(["rollback", "stay"]),
        "target": st.sampled_from(["a", "b", "d1", ""]),
        "code": st.text(max_size=4),
        "config": JSON,
        "input": JSON,
    },
)
PAYLOAD = (COMMAND | JSON).map(lambda said: json.dumps(said).encode("utf-8", "surrogatepass")) | st.binary(max_size=30)
POLICY = st.sampled_from(['{"locked":true}', '{"max_energy_mj":1}', '{"only_hosts":["h"]}', "rubbish", ""])


async def lives(folder, payloads, desired, policy):
    if policy:
        (folder / "policy.json").write_text(policy)
    async with running(folder) as bench:
        for payload in payloads:
            bench.send(payload)
        for document in desired:
            bench.desire({"gen": 1, "deploy": document})
        answer = await bench.do({"id": "the-last", "op": "ping"})

    assert answer.state is Phase.SUCCEEDED


@settings(max_examples=40, deadline=None)
@given(
    payloads=st.lists(PAYLOAD.filter(lambda said: b'"restart"' not in said and said.strip() != b"restart"), max_size=8),
    desired=st.lists(COMMAND, max_size=2),
    policy=POLICY,
)
def test_whatever_is_sent_the_agent_answers_and_lives(tmp_path_factory, payloads, desired, policy):
    asyncio.run(lives(tmp_path_factory.mktemp("agent"), payloads, desired, policy))
