"""Versions of a model: what belongs together, what a bare name means, and what one costs beside the one before."""

import json
from dataclasses import asdict, replace

import pytest

from broker.errors import InvalidError, NotFoundError
from broker.messages import ActiveModel, RuntimeInfo
from broker.metadata import append
from controller.models.catalog import Catalogue
from controller.models.changes import Reading, changes, stated
from controller.models.manifest import About, Artifact
from controller.models.store import ArtifactStore
from controller.models.versions import meant, named, promoted, versions
from controller.rollouts.request import Request, Selection
from controller.service import Wish
from controller.storage.store import Store
from controller.workshop.acceptance import accept
from controller.workshop.jobs import Job, JobState
from controller.workshop.lines import Result
from controller.workshop.orders import Orders
from controller.workshop.records import Jobs
from tests.controlling import controller
from tests.rolling_fleet import MODEL, RollingFleet
from tests.tiny_models import tiny_model
from tests.tiny_tflite import tiny_tflite

V1, V2 = tiny_model("mine"), tiny_model("mine", seed=1)


def file(digit, *, form="onnx", at=0.0, made_from=None, made=False, **more):
    about = About(made_by={"torch": "2"} if made else {}, made_from=made_from)
    known = {"sha256": str(digit) * 64, "size": 9, "format": form, "models": ("m",), "created_at": at, "about": about}
    return Artifact(**(known | more))


def sha(digit):
    return str(digit) * 64


def test_what_was_made_from_a_file_is_of_its_version_whenever_that_was():
    one, two = file(1), file(2, at=1)
    early = file(3, form="tflite", at=2, made=True)
    late = file(4, form="tflite", at=3, made=True, made_from=sha(1))

    found = versions("m", [one, two, early, late, file(5, models=("other",))])

    assert [(each.number, each.digests) for each in found] == [(1, {sha(1), sha(4)}), (2, {sha(2), sha(3)})]


def test_a_network_that_was_made_before_its_name_was_noted_is_one_version_with_what_is_made_now():
    early, late = file(1, made=True), file(2, form="tflite", at=1, made=True, made_from="timm:resnet18.a1_in1k")
    again = file(3, at=2, made=True, made_from="timm:resnet18.a2_in1k")

    assert [each.digests for each in versions("m", [early, late])] == [{sha(1), sha(2)}]
    assert [each.number for each in versions("m", [late, again])] == [1, 2]


def test_a_name_means_every_file_until_a_version_is_promoted_and_then_the_last_one_that_was():
    one, two = file(1, promoted={"m": 5.0, "other": 9.0}), file(2, at=1)
    tflite = file(3, form="tflite", at=2, made=True, made_from=sha(1))
    later = replace(two, promoted={"m": 6.0})

    assert meant("m", [file(1), two]) == [file(1), two]
    assert meant("m", [one, two, tflite]) == [one, tflite]
    assert meant("m", [one, later, tflite]) == [later]
    assert promoted(versions("m", [one, later])).sha256 == sha(2)
    assert meant("other", [one, two]) == []


@pytest.mark.parametrize("digits", ["", "111", "1", " "])
def test_what_is_too_short_names_no_version(digits):
    with pytest.raises(InvalidError, match="too short"):
        named(versions("m", [file(1)]), digits)


def test_a_version_is_named_by_any_of_its_files_and_an_unknown_one_is_told_with_those_there_are():
    alike = file(1, sha256="abcd" + "1" * 60), file(2, sha256="abcd" + "2" * 60)
    found = versions("m", [*alike, file(3, form="tflite", made=True, made_from=alike[0].sha256)])

    assert named(found, "3333").sha256 == named(found, "ABCD1").sha256 == alike[0].sha256
    with pytest.raises(InvalidError, match="several"):
        named(found, "abcd")
    with pytest.raises(NotFoundError) as unknown:
        named(found, "ffff")
    assert unknown.value.hint == "its versions: abcd1111, abcd2222"


def reading(device_id, digit, energy_mj, *, kind="measured", p95_ms=None, at=0.0, **more):
    told = {"energy_kind": kind, "energy_mj": energy_mj, "latency_p95_ms": p95_ms, "memory_mb": None, "at": at}
    return Reading(device_id=device_id, device_type="pi5", sha256=sha(digit), **(told | more))


def test_kinds_of_figures_are_never_mixed_and_what_is_absent_stays_so():
    told = [reading("a", 1, 10.0, p95_ms=5.0), reading("s", 1, 99.0, kind="simulated", p95_ms=50.0)]
    told += [reading("a", 2, 9.0, at=1.0), reading("a", 2, 8.0, p95_ms=6.0, at=2.0), reading("b", 2, 6.0)]

    found = {(each.quantity, each.kind): each for each in changes({sha(1)}, {sha(2)}, told)}

    energy = found["energy_mj", "measured"]
    assert (energy.old.value, energy.new.value, energy.new.devices, energy.new.measurements) == (10.0, 7.0, 2, 3)
    assert (energy.percent, energy.better, energy.sentence) == (-30.0, True, "30 % less energy: better")
    assert found["latency_p95_ms", "measured"].sentence == "20 % slower: worse"
    simulated = found["energy_mj", "simulated"]
    assert (simulated.new, simulated.percent, simulated.sentence) == (None, None, "only the old one is known")
    assert found.keys() == {
        (each, kind) for each in ("energy_mj", "latency_p95_ms") for kind in ("measured", "simulated")
    }


def test_a_modelled_energy_of_a_real_board_leaves_its_time_a_measured_one():
    found = changes({sha(1)}, {sha(2)}, [reading("a", digit, 5.0, kind="modelled", p95_ms=5.0) for digit in (1, 2)])

    assert [(each.quantity, each.kind, each.sentence) for each in found] == [
        ("energy_mj", "modelled", "the same"),
        ("latency_p95_ms", "measured", "the same"),
    ]


def test_of_an_accuracy_more_is_better_and_nothing_is_said_of_what_nobody_knows():
    assert [each.sentence for each in stated("top1_pct", "told", None, 80.0, 90.0)] == ["12.5 % more accurate: better"]
    assert [each.sentence for each in stated("top1_pct", "told", None, None, 90.0)] == ["only the new one is known"]
    assert stated("energy_mj", "predicted", "pi5", None, None) == []


async def deployed(running, device, *, energy_mj, state="succeeded", **asked):
    """Have `mine` deployed, and let it cost so much; return the SHA-256 of the file that was sent."""
    answer = await running.deploy(device_id=device.id, model_name="mine", force=True, reason="a test", **asked)
    command = await device.next_command("deploy")
    result = {"energy_mj": energy_mj, "energy_source": "ina3221", "latency_p95_ms": 2 * energy_mj, "rss_mb": 60.0}
    await device.ack(command.id, state, 1, result=result)
    await running.until_phase(answer.json()["deployment_id"], state)
    sha256 = command.artifact.sha256
    active = ActiveModel(model="mine", artifact_sha256=sha256, runtime="onnxruntime", deployment_id=command.id)
    await device.report(phase="running", active=active)

    async def heard():
        state = running.parts.service.store.device(device.id)["state"] or {}
        return (state.get("active") or {}).get("artifact_sha256") == sha256

    await running.until(heard)
    return sha256


async def upload(running, *contents):
    for content in contents:
        answer = await running.http.put("/api/models/upload/mine.onnx", content=content, params={"name": "mine"})
    return answer.json()


async def typed(running, device):
    """Do what mosquitto_pub does; return the SHA-256 of the file that is sent then."""
    async with running.hub.link("a-person") as person:
        await person.publish(
            f"device/{device.id}/cmd", json.dumps({"op": "deploy", "model": "mine", "id": "h"}).encode()
        )
    while (command := await device.next_command("deploy")).artifact is None:
        pass
    await device.ack("h", "failed", 1, reason="a test")
    await running.until_phase("h", "failed")
    return command.artifact.sha256


async def test_a_promoted_version_is_what_the_name_means_whichever_way_it_is_asked_for(tmp_path):
    async with controller(tmp_path) as running, running.joined() as device:

        async def promote(status=200, **asked):
            answer = await running.post("/api/models/promote", model_name="mine", **asked)
            assert answer.status_code == status, answer.text
            return answer.json()

        async def shown():
            return (await running.get("/api/models/named/mine"))["model"]

        await upload(running, V1, V2)
        newest = await shown()
        first, second = [each.sha256 for each in running.parts.promoting.versions("mine")]
        assert (newest["artifact_sha256"], newest["means"]) == (second, "the newest file of each format, of 2 versions")
        assert await deployed(running, device, energy_mj=8.0) == second

        dry = await promote(version=first[:8], dry_run=True)
        assert (dry["changed"], (await shown())["promoted_sha256"]) == (True, None)
        done, again = await promote(version=first[:8]), await promote(version=first)
        assert done["sentence"] == dry["sentence"]
        assert (
            "no longer its newest files; 0 of 1 devices that run it have this version; no device is changed"
            in done["sentence"]
        )
        assert (done["promoted_sha256"], again["changed"], again["promoted_before"]) == (first, False, first)

        model, file_ = await shown(), await running.http.get("/models/mine")
        assert (model["artifact_sha256"], model["means"]) == (first, f"version {first[:8]}, promoted")
        assert file_.headers["x-checksum-sha256"] == first
        assert (await running.get("/api/models/all", q="mine"))["models"][0]["promoted_sha256"] == first
        ((_, judged),) = running.parts.service.judge.judge_all(
            [running.parts.service.store.device("pi5-1")], "mine", budget_mj=None, policy="strict", forced_reason="x"
        )
        assert judged.offered.artifact.sha256 == first
        assert await typed(running, device) == first
        assert await deployed(running, device, energy_mj=10.0) == first

        assert (await upload(running, tiny_model("mine", seed=2)))["means_it"] is False
        assert (await shown())["artifact_sha256"] == first
        archived = await running.post("/api/models/archive", model_name="mine")
        assert (archived.status_code, archived.json()["code"]) == (409, "promoted")
        assert "models promote mine --undo" in archived.json()["hint"]

        listed = await running.get("/api/models/named/mine/versions")
        third, middle, oldest = listed["versions"]
        assert (listed["means"], oldest["promoted"], oldest["runs"]) == (model["means"], True, {"silent": 1})
        costs = {(each["quantity"], each["kind"]): each for each in middle["changes"]}
        assert costs["energy_mj", "measured"]["sentence"] == "20 % less energy: better"
        assert costs["latency_p95_ms", "measured"]["change_percent"] == -20.0
        assert costs["memory_mb", "measured"]["sentence"] == "the same"
        assert costs["energy_mj", "measured"]["old"] == {"value": 10.0, "devices": 1, "measurements": 1}
        assert costs["energy_mj", "predicted"]["old"]["devices"] is None
        assert (oldest["changes"], oldest["previous_sha256"], third["previous_sha256"]) == ([], None, second)

        assert (await promote(undo=True))["promoted_sha256"] is None
        assert (await shown())["artifact_sha256"] == third["sha256"]
        events = (await running.get("/api/logs", type="model", q="means"))["logs"]
        assert [each["facts"]["promoted_sha256"] for each in events] == [None, first]


async def test_what_may_not_be_offered_may_not_be_promoted(tmp_path):
    async with controller(tmp_path) as running:

        async def refusal(**asked):
            answer = await running.post("/api/models/promote", **asked)
            return answer.status_code, answer.json()["code"], answer.json()["error"]

        await upload(running, V1)
        artifacts = running.parts.service.artifacts
        sha256 = running.parts.catalogue.get("mine").artifact_sha256
        assert (await refusal(model_name="nobody", version="abcd"))[:2] == (404, "no_artifact")
        assert (await refusal(model_name="mine", version="abcdef"))[:2] == (404, "unknown_version")
        assert (await refusal(model_name="mine", version="ab"))[:2] == (422, "invalid")
        assert (await refusal(model_name="mine"))[:2] == (422, "invalid")
        assert (await refusal(model_name="mine", version="abcd", undo=True))[:2] == (422, "invalid")
        await running.post("/api/models/archive", model_name="mine")
        assert (await refusal(model_name="mine", version=sha256))[:2] == (409, "archived")
        await running.post("/api/models/archive", model_name="mine", undo=True)
        await upload(running, V2)
        await running.post("/api/models/promote", model_name="mine", version=sha256)
        artifacts.path(sha256).write_bytes(b"rust")
        named_ = await running.get("/api/models/named/mine")
        assert (named_["code"], "damaged" in named_["error"]) == ("damaged", True)  # and not another version in silence
        status, code, error = await refusal(model_name="mine", version=sha256)
        assert (status, code, "its content is damaged" in error) == (409, "unverified", True)
        artifacts.evict(sha256, 1.0)
        assert (await refusal(model_name="mine", version=sha256))[:2] == (409, "no_artifact")


def test_what_is_made_of_a_promoted_file_is_of_its_version(tmp_path):
    store = ArtifactStore(tmp_path / "artifacts")
    first, second = [store.add(content, model="mine") for content in (V1, V2)]
    orders = Orders(artifacts=store, jobs=Jobs(Store(None)), listed={})
    assert orders.order("mine", "tflite").source.path.endswith(second.sha256)
    store.promote(first.sha256, "mine", 1.0)
    order = orders.order("mine", "tflite")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.tflite").write_bytes(tiny_tflite())
    append(out / "mine.tflite", {"edgewatt.model": "mine"})
    about = asdict(About(made_by={"converter": "1"}))
    made = accept(Result(path=str(out / "mine.tflite"), about=about), order, out, store)

    assert [each.digests for each in versions("mine", store.all())] == [{first.sha256, made.sha256}, {second.sha256}]
    assert Catalogue(store, shipped=out).get("mine").formats == ("onnx", "tflite")


def test_a_file_that_would_be_of_another_version_is_made_once_and_not_for_ever(tmp_path):
    fleet = RollingFleet(tmp_path)
    runtime = RuntimeInfo(name="tflite-runtime", version="2.14", formats=("tflite",))
    fleet.join("d1", formats=("tflite",), runtimes=(runtime,))
    store, jobs = fleet.service.artifacts, fleet.parts.workshop.jobs
    first, second = [store.add(content, model="mine") for content in (V1, V2)]
    store.promote(first.sha256, "mine", 1.0)
    order = fleet.parts.orders.order("mine", "tflite")
    about = About(made_by={"converter": "1"}, made_from=second.sha256)
    made = store.add(tiny_tflite(), model="mine", format="tflite", about=about)
    jobs.put(Job(id="j1", order=order, who="cli", created_at=1.0, state=JobState.DONE, sha256=made.sha256))

    ended = fleet.service.deploy(Wish(device_id="d1", model="mine", origin="cli"), fleet.at)

    assert (ended.phase, ended.code) == ("failed", "no_format")
    assert "of another version than the one that is promoted" in ended.reason
    assert jobs.count() == 1
    fleet.store.close()


def test_while_a_rollout_is_under_way_its_model_means_what_it_meant(tmp_path):
    fleet = RollingFleet(tmp_path)
    fleet.join("d1")
    sha256 = fleet.parts.catalogue.get(MODEL).artifact_sha256
    made = fleet.rolling.make(
        Request(model=MODEL, selection=Selection(device_ids=("d1",)), waves=("100%",)), "cli", fleet.at
    )

    with pytest.raises(Exception, match=f"{made.id} rolls {MODEL} out") as refused:
        fleet.parts.promoting.plan(MODEL, sha256, fleet.at)
    fleet.rolling.abort(made.id, "", "cli", fleet.at)

    assert refused.value.code == "in_rollout"
    assert fleet.parts.promoting.plan(MODEL, sha256, fleet.at).changed
    fleet.store.close()
