"""`edgewatt models verify | archive | keygen` against a whole controller."""

import asyncio
import json

import pytest
import uvicorn

from broker.signing import Signer
from controller.api.app import create
from controller.cli.app import run
from controller.serving import listening
from tests.controlling import controller
from tests.tiny_models import tiny_model


@pytest.fixture
async def running(tmp_path, free_port, monkeypatch):
    monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", f"http://127.0.0.1:{free_port}")
    monkeypatch.setenv("EDGEWATT_CONFIG", str(tmp_path / "none.toml"))
    async with controller(tmp_path / "data") as whole:
        server = uvicorn.Server(uvicorn.Config(create(whole.parts), log_level="critical", lifespan="off"))
        with listening("127.0.0.1", free_port) as door:
            serving = asyncio.create_task(server.serve([door]))
            yield whole
            server.should_exit = True
            await serving


@pytest.fixture
def edgewatt(capsys):
    """Run a command line beside the controller: exit code, stdout, stderr."""

    async def call(*words):
        code = await asyncio.to_thread(run, words)
        out, err = capsys.readouterr()
        return code, out, err

    return call


async def test_a_sound_store_is_verified_and_a_damaged_file_is_an_exit_code(running, edgewatt):
    sound = await edgewatt("models", "verify", "--all")
    sha256 = running.parts.catalogue.get("digits_mlp").artifact_sha256
    running.parts.service.artifacts.path(sha256).write_bytes(b"rust")
    damaged = await edgewatt("models", "verify", "digits_mlp", "--json")

    assert sound[0] == 0
    assert "digits_cnn_s" in sound[1]
    assert damaged[0] == 1
    assert json.loads(damaged[1])["artifacts"][0]["content"] == "damaged"


@pytest.mark.usefixtures("running")
async def test_a_model_is_put_away_and_brought_back(edgewatt):
    away = await edgewatt("models", "archive", "digits_mlp")
    verified = await edgewatt("models", "verify", "digits_mlp")
    back = await edgewatt("models", "archive", "digits_mlp", "--undo")
    nobody = await edgewatt("models", "archive", "nobody")

    assert (away[0], verified[0], back[0], nobody[0]) == (0, 0, 0, 3)
    assert "--undo brings it back" in away[2]
    assert "not in the store" in nobody[2]


async def test_a_version_is_promoted_after_a_question_and_its_model_says_so(running, edgewatt, tmp_path):
    older, newer = (
        running.parts.catalogue.add(file_of(tmp_path, seed), name="mine").artifact_sha256 for seed in (0, 1)
    )
    unasked = await edgewatt("models", "promote", "mine", older[:8])
    dry = await edgewatt("models", "promote", "mine", older[:8], "--dry-run")
    done = await edgewatt("models", "promote", "mine", older[:8], "--yes", "--json")
    later = await edgewatt("models", "add", str(file_of(tmp_path, 1)))
    shown, listed = await edgewatt("models", "show", "mine"), await edgewatt("models", "list", "--stored")
    versions = await edgewatt("models", "versions", "mine")
    wrong = [(await edgewatt("models", "promote", *words))[0] for words in (("mine",), ("mine", "ffff"))]

    assert (unasked[0], dry[0], done[0], wrong) == (2, 0, 0, [2, 3])
    assert f"would be: mine means version {older[:8]}" in dry[2]
    assert json.loads(done[1])["promoted_sha256"] == older
    assert f"mine still means version {older[:8]}, promoted" in later[2]
    assert f"promote mine {newer[:8]}" in later[2]
    assert f"version {older[:8]}, promoted" in shown[1]
    assert f"{older[:8]}, promoted" in listed[1]
    assert versions[1].index(newer[:12]) < versions[1].index(older[:12])
    assert (await edgewatt("models", "promote", "mine", "--undo", "--yes"))[0] == 0


def file_of(folder, seed):
    path = folder / "mine.onnx"
    path.write_bytes(tiny_model("mine", seed=seed))
    return path


async def test_verify_wants_a_name_or_all_and_keygen_makes_a_key_once(edgewatt, tmp_path):
    neither = await edgewatt("models", "verify")
    path = tmp_path / "key.pem"
    made = await edgewatt("models", "keygen", str(path), "--json")
    again = await edgewatt("models", "keygen", str(path))

    assert neither[0] == 2
    assert made[0] == 0
    assert json.loads(made[1])["verify_key"] == Signer(path).public_key
    assert again[0] == 2
