"""What is measured is found on disk or in a controller's catalogue, and fetched by its hash."""

import json
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import EdgeWattError
from edge_agent.benchmark.features import Known, find, read
from edge_agent.benchmark.subjects import fetched, in_catalogue, on_disk
from tests.artifact_server import serving
from tests.tiny_models import reference, tiny_model


def catalogue(server, *documents, first=0, total=None):
    page = {"success": True, "total": len(documents) if total is None else total, "models": list(documents)}
    server.files[f"/api/models/all?stored=true&limit=500&offset={first}"] = json.dumps(page).encode()


def offered(server, name, content, **changes):
    ref = reference(content, server.base_url)
    server.add(ref.sha256, content)
    facts = {"name": name, "params_m": 1.5, "gmacs": 0.25, "input_res": 224}
    artifact = {"sha256": ref.sha256, "size": ref.size, "format": "onnx", "evicted_at": None}
    return facts | {"artifacts": [artifact | changes]}


@pytest.fixture
def server():
    with serving() as artifacts:
        yield artifacts


def test_models_of_a_folder_are_found_below_it_by_name(tmp_path):
    for name in ("b/two.onnx", "a/one.tflite", "three.txt", ".onnx/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    found = on_disk(tmp_path)

    assert sorted((subject.model, subject.format) for subject in found) == [("one", "tflite"), ("two", "onnx")]


def test_nothing_to_measure_is_said(tmp_path):
    with pytest.raises(EdgeWattError, match="no model in"):
        on_disk(tmp_path)
    with pytest.raises(EdgeWattError, match="there is no file"):
        on_disk(tmp_path / "nothing.onnx")


def test_what_a_controller_has_an_artifact_of_is_fetched_by_its_hash(server, tmp_path):
    content = tiny_model()
    listed_only = {"name": "listed", "params_m": 3.0, "gmacs": 1.0, "artifacts": []}
    catalogue(server, offered(server, "tiny", content), listed_only)

    (subject,) = in_catalogue(server.base_url, tmp_path / "new")
    assert (subject.model, subject.params_m, subject.gmacs, subject.input_res) == ("tiny", 1.5, 0.25, 224)
    assert fetched(subject, Event()) == subject.sha256
    assert subject.path.read_bytes() == content

    asked = len(server.requests)
    assert fetched(subject, Event()) == subject.sha256
    assert len(server.requests) == asked


def test_a_catalogue_is_read_page_by_page(server, tmp_path):
    catalogue(server, offered(server, "a", tiny_model("a")), total=2)
    catalogue(server, offered(server, "b", tiny_model("b")), first=1, total=2)

    assert [subject.model for subject in in_catalogue(server.base_url, tmp_path)] == ["a", "b"]


def test_bytes_that_are_not_what_their_hash_says_are_refused_and_removed(server, tmp_path):
    document = offered(server, "tiny", tiny_model())
    catalogue(server, document)
    (artifact,) = document["artifacts"]
    server.files[f"/models/sha256/{artifact['sha256']}"] = bytes(artifact["size"])
    (subject,) = in_catalogue(server.base_url, tmp_path)

    with pytest.raises(EdgeWattError, match="is not what its hash says"):
        fetched(subject, Event())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "lie",
    [{"sha256": "../../etc"}, {"sha256": "ab"}, {"size": "big"}, {"format": "pt"}, {"evicted_at": 1.5}],
)
def test_a_catalogue_that_makes_no_sense_offers_nothing(server, tmp_path, lie):
    catalogue(server, offered(server, "tiny", tiny_model(), **lie), {"name": 7, "artifacts": 8}, {"artifacts": [9]})

    with pytest.raises(EdgeWattError, match="has no artifact"):
        in_catalogue(server.base_url, tmp_path)


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>", b'{"models": 3}'])
def test_an_answer_that_is_no_catalogue_is_refused(server, tmp_path, answer):
    server.files["/api/models/all?stored=true&limit=500&offset=0"] = answer

    with pytest.raises(EdgeWattError):
        in_catalogue(server.base_url, tmp_path)


def test_a_controller_that_is_not_there_is_said(tmp_path):
    with pytest.raises(EdgeWattError, match="cannot read the catalogue"):
        in_catalogue("http://127.0.0.1:1", tmp_path)
    with pytest.raises(EdgeWattError, match="no address of a controller"):
        in_catalogue("ftp://host", tmp_path)


def test_a_network_is_known_by_its_name_and_so_are_its_variants(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("name,gmacs,params_m,input_res\nresnet18,1.81,11.7,224\nodd,-1,nan,\n")
    features = read(path)

    assert (
        find(features, "resnet18") == find(features, "resnet18-int8") == Known(params_m=11.7, gmacs=1.81, input_res=224)
    )
    assert find(features, "odd") == find(features, "other") == Known()


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe"])
def test_a_list_without_names_is_refused(tmp_path, content):
    path = tmp_path / "f.csv"
    path.write_bytes(content)

    with pytest.raises(EdgeWattError):
        read(path)


@given(text=st.text(max_size=40))
def test_any_name_can_be_looked_up(text):
    assert find({}, text) == Known()
