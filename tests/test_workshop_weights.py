"""Weights come from a hub, which may be away, or from a file, which may be of something else."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from tests.fleet.brokers import free_port as find_free_port
from tests.hub import Hub
from tests.workshop import WITH_TORCH, run, work, work_all

pytestmark = WITH_TORCH

NAME = "test_vit"
"""One of the smallest networks that timm publishes weights of."""

PUBLISHED = {"kind": "timm", "name": f"{NAME}.r160_in1k", "pretrained": True}
SAVE = """
import sys, torch
from pathlib import Path
from controller.workshop.timm_networks import create
from safetensors.torch import save_file
folder, name = Path(sys.argv[1]), sys.argv[2]
weights = create(name, pretrained=False, num_classes=5).state_dict()
save_file(weights, folder / "five.safetensors")
torch.save(weights, folder / "five.pth")
weights.popitem()
save_file(weights, folder / "short.safetensors")
save_file(create(name, pretrained=False).state_dict(), folder / "whole.safetensors")
"""

FETCH = """
from controller.workshop.hub_networks import fetch
print(fetch("somebody/something", lambda done, step: None))
"""


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of weights: of five classes, short of one tensor, whole, and what is none."""
    folder = tmp_path_factory.mktemp("weights")
    subprocess.run([sys.executable, "-c", SAVE, str(folder), NAME], check=True, capture_output=True)
    (folder / "evil.pth").write_bytes(pickle.dumps({"w": Evil(folder / "evil")}))
    (folder / "noise.safetensors").write_bytes(bytes(range(99)))
    return folder


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    """An environment whose hub nobody reaches, and its address."""
    url = f"http://127.0.0.1:{find_free_port()}"
    return environment(tmp_path_factory.mktemp("hub"), HF_ENDPOINT=url), url


@pytest.fixture(scope="module")
def answers(tmp_path_factory, weights, away):
    """How each kind of request ends without a hub, by what is asked for."""
    asked = {
        "published": PUBLISHED,
        "no such tag": {**PUBLISHED, "name": f"{NAME}.nope"},
        "nothing published": {**PUBLISHED, "name": "test_mambaout"},
        **{path.name: of_file(path) for path in sorted(weights.iterdir())},
        "other": of_file(weights / "five.safetensors", "test_resnet"),
        "nothing named": of_file(weights / "five.safetensors", ""),
        "absent": of_file(weights / "none.safetensors"),
    }
    folder = tmp_path_factory.mktemp("answers")
    requests = [{"model": f"m{i}", "source": source} for i, source in enumerate(asked.values())]
    return dict(zip(asked, work_all(folder, requests, environment=away[0]), strict=True)) | {"out": folder / "out"}


def of_file(path, architecture=NAME):
    return {"kind": "safetensors", "path": str(path), "architecture": architecture}


def environment(folder, **known):
    return {**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_XET": "1", **known}


def test_a_hub_that_nobody_reaches_says_what_to_do(answers, away):
    error = answers["published"]["error"]

    assert error["code"] == "hub_unreachable"
    assert f"{away[1]} cannot be reached" in error["message"]
    for way in ("--untrained", "models add", "HF_ENDPOINT", "HF_HOME", "HF_HUB_OFFLINE"):
        assert way in error["hint"]


def test_offline_without_the_file_says_so_and_leaves_nothing(tmp_path):
    done = work(tmp_path, {"model": NAME, "source": PUBLISHED}, environment=environment(tmp_path, HF_HUB_OFFLINE="1"))

    assert (done.status, done.error["code"]) == (1, "hub_unreachable")
    assert "HF_HUB_OFFLINE" in done.error["message"]
    assert not list((tmp_path / "out").glob("*"))


def test_published_weights_are_fetched_once(tmp_path, weights):
    hub = Hub((weights / "whole.safetensors").read_bytes())
    request = {"model": NAME, "source": PUBLISHED}
    first, again = work_all(tmp_path, [request] * 2, environment=environment(tmp_path, HF_ENDPOINT=hub.url))
    hub.close()
    texts = {entry.key: entry.value for entry in onnx.load(first["result"]["path"]).metadata_props}

    assert any("downloading weights" in step for step in first["steps"])
    assert not any("downloading weights" in step for step in again["steps"])
    assert len(hub.ranges) == 1
    assert again["result"]["about"] == first["result"]["about"]
    assert first["result"]["about"]["licence"] == "apache-2.0"
    assert texts["edgewatt.trained"] == "true"
    assert len(json.loads(texts["edgewatt.labels"])) == 1000


def test_a_download_that_was_cut_off_goes_on_where_it_ended(tmp_path):
    content = bytes(range(256)) * 120_000
    hub = Hub(content, cut=1)
    path = run([sys.executable, "-c", FETCH], environment(tmp_path, HF_ENDPOINT=hub.url)).stdout.strip()
    hub.close()

    assert Path(path).read_bytes() == content
    assert [int(asked.removeprefix("bytes=").split("-")[0]) > 0 for asked in hub.ranges[1:]] == [True]


def test_what_timm_does_not_publish_is_said_with_what_it_does(answers):
    tag, none = answers["no such tag"]["error"], answers["nothing published"]["error"]

    assert (tag["code"], none["code"]) == ("unknown_model", "unknown_model")
    assert f"{NAME}.r160_in1k" in tag["hint"]
    assert "--untrained" in none["hint"]


@pytest.mark.parametrize("file", ["five.safetensors", "five.pth"])
def test_weights_in_a_file_keep_their_number_of_classes(answers, file):
    model = onnx.load(answers[file]["result"]["path"])

    assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == 5
    assert "edgewatt.labels" not in {entry.key for entry in model.metadata_props}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("short.safetensors", "does not fit test_vit: "),
        ("other", "does not fit test_resnet: "),
        ("nothing named", "weights alone are no network"),
        ("noise.safetensors", "cannot be read as weights alone"),
        ("evil.pth", "cannot be read as weights alone"),
        ("absent", "there is no file"),
    ],
)
def test_what_is_no_file_of_these_weights_is_refused_with_the_first_difference(answers, weights, asked, why):
    error = answers[asked]["error"]

    assert error["code"] == "bad_artifact"
    assert why in error["message"]
    assert not (weights / "evil").exists()


def test_what_failed_left_nothing(answers):
    made = {said["result"]["path"] for said in answers.values() if isinstance(said, dict) and "result" in said}

    assert {str(path) for path in answers["out"].iterdir()} == made
