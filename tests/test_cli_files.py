"""The command line reads a user's own files itself, and sends them to a controller."""

import asyncio
import json

import pytest

from controller.cli.app import run
from controller.cli.exits import Exit
from controller.models.shipped import MODELS
from tests.controlling import controller, served
from tests.tiny_tflite import tiny_tflite


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "mine.tflite"
    path.write_bytes(tiny_tflite())
    return str(path)


def test_a_file_is_analyzed_without_a_controller(tiny, capsys):
    assert run(["models", "analyze", tiny, "--controller", "http://127.0.0.1:1"]) == Exit.DONE
    out = capsys.readouterr().out
    assert "1x8x8x3 float32" in out
    assert "CONV_2D" in out

    assert run(["models", "analyze", str(MODELS / "digits_mlp.onnx"), "--json"]) == Exit.DONE
    facts = json.loads(capsys.readouterr().out)
    assert (facts["format"], facts["opset"]) == ("onnx", 15)
    assert facts["metadata"]["edgewatt.samples"].endswith(" entries")


@pytest.mark.parametrize(("content", "said"), [(b"<html>", "web page"), (b"", "empty"), (b"\x80\x04.", "pickle")])
def test_what_is_no_model_is_refused_with_a_way_out(tmp_path, capsys, content, said):
    (tmp_path / "net.onnx").write_bytes(content)

    assert run(["models", "analyze", str(tmp_path / "net.onnx")]) == Exit.FAILED
    told = capsys.readouterr().err
    assert said in told
    assert "hint: " in told


def test_a_file_that_is_not_there_is_not_found(tmp_path, capsys):
    for words in (["analyze"], ["add"]):
        assert run(["models", *words, str(tmp_path / "none.onnx"), "--json"]) == Exit.NOT_FOUND
        assert json.loads(capsys.readouterr().err)["code"] == "not_found"


def test_without_a_controller_a_file_cannot_be_added(tiny):
    assert run(["models", "add", tiny, "--controller", "http://127.0.0.1:1"]) == Exit.UNREACHABLE


async def test_a_file_is_added_and_what_the_controller_refuses_is_said(tmp_path, tiny, free_port, capsys):
    large = tmp_path / "large.onnx"
    large.write_bytes(bytes(3_000_000))
    async with controller(tmp_path / "data", max_upload_mb=1) as running, served(running, free_port) as url:

        async def edgewatt(*words):
            code = await asyncio.to_thread(run, ["models", "add", *words, "--controller", url])
            return code, *capsys.readouterr()

        added = await edgewatt(tiny, "--name", "mine", "--top1", "61.5", "--licence", "MIT", "--json")
        refused = await edgewatt(str(large))
        reserved = await edgewatt(tiny, "--name", "digits_mlp")
        model = running.parts.catalogue.get("mine")

    assert (added[0], json.loads(added[1])["model"]) == (Exit.DONE, "mine")
    assert (model.top1_pct, model.artifacts[0].about.licence) == (61.5, "MIT")
    assert (refused[0], reserved[0]) == (Exit.FAILED, Exit.FAILED)
    assert "limit" in refused[2]
    assert "choose another name" in reserved[2]
