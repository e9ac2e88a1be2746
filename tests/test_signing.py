"""What is signed is one canonical manifest, and a change of any part of it is noticed."""

import base64
import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from broker.commands import Command
from broker.errors import ArtifactError, InvalidError
from broker.phases import Phase
from broker.signing import Signer, Verifier, canonical_manifest, make_key
from broker.wire import decode
from controller.models.checking import check
from controller.models.store import ArtifactStore
from edge_agent.trust import Trust
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.controlling import controller

SEED = bytes(range(32))
"""A key for tests only; signatures of Ed25519 are the same each time."""

MANIFEST = b'{"format":"onnx","gen":12,"model":"mobilenetv3_small_075","sha256":"' + b"ab" * 32 + b'","size":8503456}'


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key"
    path.write_bytes(SEED)
    return Signer(path)


def signed(key, command):
    """Sign a command document as a controller does."""
    ref = command["artifact"]
    facts = {name: ref[name] for name in ("sha256", "size")}
    manifest = canonical_manifest(
        model=command["model"], format=ref.get("format", "onnx"), gen=command.get("gen"), **facts
    )
    return command | {"artifact": ref | {"sig": key.sign(manifest)}}


def test_the_manifest_is_these_very_bytes():
    facts = {"model": "mobilenetv3_small_075", "sha256": "ab" * 32, "size": 8503456, "format": "onnx"}

    assert canonical_manifest(**facts, gen=12) == MANIFEST
    assert json.loads(canonical_manifest(**facts)) == facts
    assert canonical_manifest(**facts | {"model": "größe"}).decode("utf-8").count("größe") == 1


def test_the_signature_is_that_of_rfc_8032(tmp_path):
    """Test 1 of RFC 8032, 7.1: an empty message."""
    path = tmp_path / "rfc"
    path.write_bytes(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    expected = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )

    assert Signer(path).sign(b"") == "ed25519:" + base64.b64encode(expected).decode()
    assert base64.b64decode(Signer(path).public_key).hex().startswith("d75a980182b10ab7")


@pytest.mark.parametrize(
    "other",
    [
        {"model": "another"},
        {"gen": 13},
        {"gen": None},
        {"artifact": {"sha256": "cd" * 32}},
        {"artifact": {"size": 1}},
        {"artifact": {"format": "tflite"}},
        {"artifact": {"sig": None}},
        {"artifact": {"sig": "ed25519:AAAA"}},
        {"artifact": {"sig": "ed25519:not base64"}},
        {"artifact": {"sig": "rsa:AAAA"}},
    ],
)
def test_a_command_with_any_other_part_is_refused(key, other):
    ref = {"url": "http://host/x", "sha256": "ab" * 32, "size": 8503456, "format": "onnx"}
    sound = signed(key, {"op": "deploy", "model": "net", "gen": 12, "artifact": ref})
    changed = sound | other | {"artifact": sound["artifact"] | other.get("artifact", {})}
    trust = Trust.of(key.public_key)

    trust.check(_command(sound))
    with pytest.raises(ArtifactError) as caught:
        trust.check(_command(changed))
    assert caught.value.code == "bad_signature"


def _command(document):
    return decode(Command, json.dumps({k: v for k, v in document.items() if v is not None}).encode())


def test_another_key_is_no_key(key, tmp_path):
    other = make_key(tmp_path / "other.pem")

    assert Verifier(key.public_key).accepts(key.sign(MANIFEST), MANIFEST)
    assert not Verifier(other.public_key).accepts(key.sign(MANIFEST), MANIFEST)


def test_a_key_is_read_raw_as_base64_and_as_pem_from_both_halves(key, tmp_path):
    (tmp_path / "text").write_text(base64.b64encode(SEED).decode() + "\n")
    private = key._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "private.pem").write_bytes(private)
    public = key._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)

    signature = key.sign(MANIFEST)
    assert {Signer(tmp_path / name).sign(MANIFEST) for name in ("text", "private.pem")} == {signature}
    assert Verifier(str(tmp_path / "public.pem")).accepts(signature, MANIFEST)


def test_a_new_key_is_for_its_owner_only_and_overwrites_nothing(tmp_path):
    made = make_key(tmp_path / "key.pem")

    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    assert Verifier(made.public_key).accepts(made.sign(b"x"), b"x")
    with pytest.raises(InvalidError, match="exists already"):
        make_key(tmp_path / "key.pem")


def test_what_is_no_key_is_refused_with_what_it_should_be(tmp_path):
    curve = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "curve.pem").write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "torn.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "short").write_bytes(b"short")
    for name in ("curve.pem", "torn.pem", "short", "missing"):
        with pytest.raises(InvalidError) as caught:
            Signer(tmp_path / name)
        assert caught.value.code == "bad_key"
    with pytest.raises(InvalidError, match="neither PEM"):
        Verifier("nonsense")


def test_the_store_signs_what_is_added_and_finds_a_manifest_that_was_changed(key, tmp_path):
    store = ArtifactStore(tmp_path / "store", signer=key)
    artifact = store.add(b"weights", model="net")
    path = tmp_path / "store" / "manifests" / f"{artifact.sha256}.json"
    before = check(store, artifact, "net", key)
    path.write_text(path.read_text().replace('"format":"onnx"', '"format":"tflite"'))
    after = check(store, store.manifest(artifact.sha256), "net", key)

    assert (before.signature, before.ok) == ("good", True)
    assert (after.signature, after.ok) == ("bad", False)
    assert check(store, artifact, "net", None).signature == "unchecked"


async def test_a_controller_with_a_key_signs_each_deployment_for_its_generation(tmp_path):
    signer = make_key(tmp_path / "key.pem")
    async with controller(tmp_path, signing_key_file=str(tmp_path / "key.pem")) as whole:
        async with whole.joined() as device:
            await whole.deploy(device_id="pi5-1", model_name="digits_mlp")
            command = await device.next_command("deploy")
        verified = (await whole.post("/api/models/verify", model_name="digits_mlp")).json()

    Trust.of(signer.public_key).check(command)
    assert command.gen is not None
    assert verified["artifacts"][0]["signature"] == "good"


async def test_a_device_with_a_key_refuses_what_is_not_signed_before_it_downloads(key, tmp_path):
    with serving() as server:
        async with running(tmp_path, verify_key=key.public_key) as bench:
            unsigned = await bench.do(deploy(server, command_id="d1"))
            other = signed(key, deploy(server, command_id="d2", gen=2)) | {"gen": 3}
            wrong = await bench.do(other)
            right = await bench.do(signed(key, deploy(server, command_id="d3", gen=4)))
        asked = len(server.requests)

    for end in (unsigned, wrong):
        assert (end.state, end.error.code) == (Phase.REJECTED, "bad_signature")
    assert right.state is Phase.SUCCEEDED
    assert asked == 1


def test_without_the_extra_a_key_says_what_to_install():
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from edge_agent.trust import Trust; Trust.of('')\n"
        "try: Trust.of('A' * 43 + '=')\n"
        "except Exception as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "pip install 'edgewatt[signed]'"
