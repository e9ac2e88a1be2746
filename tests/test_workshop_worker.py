"""A worker makes one file in a process of its own, and says on JSON lines how it goes."""

import onnxruntime
import pytest

from edge_agent.runtimes.facts import Picture, read_facts
from tests.workshop import WITH_TORCH, work

MOBILENET = {"kind": "timm", "name": "mobilenetv3_small_050", "pretrained": False}


@WITH_TORCH
def test_an_untrained_network_of_timm_becomes_onnx_that_old_runtimes_read(tmp_path):
    done = work(tmp_path, {"model": "mobilenetv3_small_050", "source": MOBILENET})
    path, about = done.result["path"], done.result["about"]
    texts = onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map

    assert done.status == 0
    assert [line["progress"] for line in done.lines[:-1]] == sorted(line["progress"] for line in done.lines[:-1])
    assert (about["variant"], about["opset"], about["ir_version"]) == ("fp32", 15, 8)
    assert about["golden"]["max_abs"] < 1e-6
    assert about["made_by"]["timm"]
    assert (texts["edgewatt.model"], texts["edgewatt.trained"]) == ("mobilenetv3_small_050", "false")
    assert "edgewatt.labels" not in texts
    assert read_facts(texts).picture == Picture(layout="nchw", mean=(0.0,), std=(1.0,), crop=0.875)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mobilenetv3_small_050.onnx"]


@WITH_TORCH
def test_a_name_that_timm_does_not_know_is_answered_with_the_nearest(tmp_path):
    source = {"kind": "timm", "name": "mobilenetv3_smal_050", "pretrained": False}

    done = work(tmp_path, {"model": "m", "source": source})

    assert (done.status, done.error["code"]) == (1, "unknown_model")
    assert "mobilenetv3_small_050" in done.error["hint"]
    assert not list((tmp_path / "out").glob("*"))


@pytest.mark.parametrize(
    "request_text",
    [
        "",
        "[]",
        '{"model": "m"}',
        '{"model": "../m", "source": {"kind": "timm"}, "out": "o"}',
        '{"model": "m", "source"',
    ],
)
def test_a_request_that_is_none_says_what_is_wrong(tmp_path, request_text):
    done = work(tmp_path, request_text)

    assert (done.status, done.error["code"]) == (1, "invalid")
    assert done.error["message"]
