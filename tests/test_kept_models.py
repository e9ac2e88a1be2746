"""Models older than the previous one stay within a quota, and what is here is not downloaded again."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from broker.messages import ActiveModel
from broker.phases import Phase
from edge_agent.download import Downloader, Patience
from edge_agent.modelstore import Held, ModelStore
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.tiny_models import tiny_model

MODELS = [tiny_model(seed=n) for n in range(5)]
SIZE = len(MODELS[0])
SHAS = [hashlib.sha256(data).hexdigest() for data in MODELS]


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


def contents(folder):
    return {path.name for path in (folder / "models" / "sha256").iterdir()}


async def put_all(bench, server):
    for n, data in enumerate(MODELS):
        await bench.do(deploy(server, data, f"d{n}", gen=n + 1, model=f"m{n}"))


@pytest.mark.parametrize(("room", "kept"), [(0, {3, 4}), (1, {2, 3, 4}), (2, {1, 2, 3, 4}), (9, {0, 1, 2, 3, 4})])
async def test_the_oldest_goes_first_and_the_active_and_previous_stay(server, tmp_path, room, kept):
    async with running(tmp_path, keep_mb=(room + 0.5) * SIZE / 1e6) as bench:
        await put_all(bench, server)

        assert (bench.state.active.model, bench.state.previous.model) == ("m4", "m3")
        assert contents(tmp_path) == {SHAS[n] for n in kept}


async def test_an_older_model_that_is_kept_comes_back_without_a_download(server, tmp_path):
    async with running(tmp_path) as bench:
        await put_all(bench, server)
        asked = len(server.requests)
        end = await bench.do(deploy(server, MODELS[0], "again", gen=9, model="m0"))

        assert end.state is Phase.SUCCEEDED
        assert end.reason == "already on the device, so nothing was downloaded"
        assert end.result["already_present"] is True
        assert [a.reason for a in bench.acks("again") if a.state is Phase.DOWNLOADING] == ["already on the device"]
        assert len(server.requests) == asked


async def test_older_models_make_room_for_a_download(server, tmp_path):
    def free(_folder):
        used = sum(path.stat().st_size for path in (tmp_path / "models" / "sha256").rglob("*.onnx"))
        return 8_000_000 + 4 * SIZE - used

    patience = Patience(timeout_s=2, first_wait_s=0.01, most_wait_s=0.05, give_up_s=2)
    async with running(tmp_path, part_changes={"downloader": Downloader(patience=patience, free_bytes=free)}) as bench:
        await put_all(bench, server)

        assert "waiting" not in bench.states("d4")
        assert contents(tmp_path) == {SHAS[n] for n in (1, 2, 3, 4)}


async def test_a_file_deployed_once_more_goes_back_to_its_own_deployment(server, tmp_path):
    async with running(tmp_path) as bench:
        await bench.do(deploy(server, MODELS[0], "d0", gen=1, model="m0"))
        await bench.do(deploy(server, MODELS[1], "d1", gen=2, model="m1"))
        bench.send(deploy(server, MODELS[1], "d2", gen=3, model="m1", soak_s=30))
        await bench.ack("d2", "soaking")
        await bench.do({"id": "c", "op": "cancel", "target": "d2"})
        end = await bench.ack("d2")

        assert (end.state, end.reason) == (Phase.ROLLED_BACK, "cancelled on request; back to m1")
        assert (bench.state.active.deployment_id, bench.state.previous.model) == ("d1", "m0")


async def test_a_sha256_in_capitals_is_the_same_content(server, tmp_path):
    command = deploy(server, MODELS[0], "d0")
    command["artifact"]["sha256"] = SHAS[0].upper()
    async with running(tmp_path) as bench:
        end = await bench.do(command)

        assert end.state is Phase.SUCCEEDED
        assert contents(tmp_path) == {SHAS[0]}


def held(n):
    return Held(model=ActiveModel(model=f"m{n}", artifact_sha256=SHAS[n], runtime="onnxruntime", deployment_id=f"d{n}"))


OPS = st.one_of(
    st.tuples(st.just("activate"), st.integers(0, 4)),
    st.tuples(st.sampled_from(["fall_back", "swap_back", "undeploy", "drop_oldest"]), st.just(0)),
    st.tuples(st.just("collect"), st.integers(0, 4)),
)


@hypothesis_settings(max_examples=40, deadline=None)
@given(ops=st.lists(OPS, max_size=25))
def test_whatever_happens_the_active_and_previous_content_stay_on_disk(tmp_path_factory, ops):
    store = ModelStore(tmp_path_factory.mktemp("store"))
    for op, n in ops:
        match op:
            case "activate":
                path = store.path(SHAS[n], "onnx")
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(b"12345678")
                store.activate(held(n))
            case "collect":
                store.collect(keep_bytes=8 * n)
            case "drop_oldest":
                store.drop_oldest(but=())
            case _:
                getattr(store, op)()
        slots = store.slots
        for each in (slots.active, slots.previous, slots.former):
            assert each is None or store.path(each.model.artifact_sha256, "onnx").exists()
        if op == "collect":
            spare = {path.name for path in (store.root / "sha256").iterdir()}
            spare -= {each.model.artifact_sha256 for each in (slots.active, slots.previous) if each}
            assert len(spare) <= n
