"""The files people deploy with: mosquitto.conf really starts, docker-compose.yml is what Compose would accept."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.conftest import NO_MOSQUITTO
from tests.fleet.brokers import MOSQUITTO, RunningBroker, free_port

ROOT = Path(__file__).parent.parent

# The part of the Compose specification that our file uses; anything else in it is refused here.
TEXT_OR_WORDS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "user", "read_only", "cap_drop", "security_opt"],
    "properties": {
        "image": {"type": "string"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile", "target"],
            "properties": {key: {"type": "string"} for key in ("context", "dockerfile", "target")},
        },
        "command": TEXT_OR_WORDS,
        "user": {"type": "string", "pattern": r"^[1-9]\d*:[1-9]\d*$"},
        "read_only": {"const": True},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "tmpfs": {"type": "array", "items": {"type": "string"}},
        "profiles": {"type": "array", "items": {"type": "string"}},
        "environment": {"type": "object", "additionalProperties": {"type": "string"}},
        "ports": {
            "type": "array",
            "items": {"type": "string", "pattern": r"^\$\{EDGEWATT_BIND:-127\.0\.0\.1\}:\d+:\d+$"},
        },
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[^:]+:/[^:]+(:ro)?$"}},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_started", "service_healthy"]}},
            },
        },
        "healthcheck": {
            "type": "object",
            "additionalProperties": False,
            "required": ["test", "interval", "timeout"],
            "properties": {
                "test": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                "interval": DURATION,
                "timeout": DURATION,
                "start_period": DURATION,
                "retries": {"type": "integer"},
            },
        },
    },
}
COMPOSE = {
    "type": "object",
    "required": ["name", "services", "volumes"],
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "properties": {
        "name": {"type": "string"},
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
}


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def dockerfile():
    return (ROOT / "docker/Dockerfile").read_text()


def test_the_compose_file_keeps_to_the_specification(compose):
    jsonschema.validate(compose, COMPOSE)


def test_each_dependency_is_a_service_with_a_health_check(compose):
    for service in compose["services"].values():
        for name in service.get("depends_on", {}):
            assert "healthcheck" in compose["services"][name]


def test_each_volume_is_declared_and_used(compose):
    used = {
        volume.split(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }

    assert used == set(compose["volumes"])


def test_each_build_target_is_in_the_dockerfile(compose, dockerfile):
    targets = {service["build"]["target"] for service in compose["services"].values() if "build" in service}

    assert targets == set(re.findall(r"^FROM base AS (\w+)$", dockerfile, re.MULTILINE))


def test_what_the_dockerfile_copies_is_there(dockerfile):
    copied = [word for line in re.findall(r"^COPY (.*)$", dockerfile, re.MULTILINE) for word in line.split()[:-1]]

    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_no_image_runs_as_root(dockerfile):
    for stage in re.split(r"^FROM ", dockerfile, flags=re.MULTILINE)[2:]:
        assert "USER edgewatt" in stage


def test_without_a_profile_there_are_no_simulated_devices(compose):
    started = {name for name, service in compose["services"].items() if not service.get("profiles")}

    assert started == {"mosquitto", "controller", "dashboard"}


def has_compose():
    docker = shutil.which("docker")
    return docker and subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="docker compose is not installed")
def test_compose_itself_accepts_the_file():
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, check=True)


@pytest.fixture
def shipped(tmp_path):
    """Debian's mosquitto with our mosquitto.conf; port and folder are the test's."""
    port = free_port()
    text = (ROOT / "mosquitto.conf").read_text()
    text = text.replace("listener 1883", f"listener {port} 127.0.0.1").replace("/mosquitto/data/", f"{tmp_path}/")
    if os.geteuid() == 0:
        text += "user root\n"
    conf = tmp_path / "shipped.conf"
    conf.write_text(text)
    running = RunningBroker("mosquitto", tmp_path, port=port, argv=[MOSQUITTO, "-c", str(conf)])
    yield running
    running.kill()


@NO_MOSQUITTO
def test_mosquitto_starts_with_our_configuration(shipped):
    assert shipped.alive
    assert "error" not in shipped.log.lower()


@NO_MOSQUITTO
def test_what_is_retained_survives_a_restart(shipped):
    where = ["-p", str(shipped.port), "-t", "device/pi5-1/desired"]
    subprocess.run(["mosquitto_pub", *where, "-q", "1", "-r", "-m", '{"gen":1}'], check=True)
    shipped.stop()
    shipped.start()

    kept = subprocess.run(
        ["mosquitto_sub", *where, "-C", "1", "-W", "10"], capture_output=True, text=True, check=True
    ).stdout

    assert kept == '{"gen":1}\n'


@NO_MOSQUITTO
def test_a_payload_beyond_the_contract_is_refused(shipped):
    where = ["-p", str(shipped.port), "-t", "device/pi5-1/cmd", "-q", "1"]

    refused = subprocess.run(
        ["mosquitto_pub", *where, "-m", "x" * 80_000], capture_output=True, text=True, check=False, timeout=30
    )

    assert "large" in refused.stderr or refused.returncode != 0
