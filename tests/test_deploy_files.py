"""The files people deploy with: mosquitto.conf really starts, images and docker-compose.yml keep their promises."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
import yaml

from controller.cli.app import run
from controller.settings import Settings, load
from edge_agent.program import parser
from tests.conftest import NO_MOSQUITTO
from tests.fleet.brokers import MOSQUITTO, RunningBroker, free_port

ROOT = Path(__file__).parent.parent

# The part of the Compose specification that our file uses; anything else in it is refused here.
DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h)$"}
TEXT, WORDS = {"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}
BIND = r"^\$\{EDGEWATT_BIND:-127\.0\.0\.1\}:\d+:\d+$"
SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["image", "user", "read_only", "cap_drop", "security_opt"],
    "properties": {
        "image": TEXT,
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["context", "dockerfile"],
            "properties": dict.fromkeys(("context", "dockerfile"), TEXT),
        },
        "command": WORDS,
        "entrypoint": WORDS,
        "user": {"type": "string", "pattern": r"^[1-9]\d*:[1-9]\d*$"},
        "read_only": {"const": True},
        "cap_drop": {"const": ["ALL"]},
        "security_opt": {"const": ["no-new-privileges:true"]},
        "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
        "tmpfs": WORDS,
        "pid": {"type": "string", "pattern": "^service:[a-z]+$"},
        "sysctls": {"type": "object"},
        "profiles": WORDS,
        "environment": {"type": "object", "additionalProperties": TEXT},
        "networks": {
            "type": "object",
            "additionalProperties": {"type": "object", "properties": {"aliases": WORDS}, "additionalProperties": False},
        },
        "ports": {"type": "array", "items": {"type": "string", "pattern": BIND}},
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[^:]+:/[^:]+(:ro)?$"}},
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["condition"],
                "properties": {
                    "condition": {"enum": ["service_started", "service_healthy", "service_completed_successfully"]}
                },
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
        "name": TEXT,
        "services": {"type": "object", "additionalProperties": SERVICE},
        "networks": {"type": "object"},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
    },
}
IMAGES = sorted((ROOT / "docker").glob("*.Dockerfile"))


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def mounts(service):
    """Of a service what is mounted where, and whether it may write there."""
    for volume in service.get("volumes", []):
        source, target, *mode = volume.split(":")
        yield source, target, mode != ["ro"]


def instructions(path):
    """The instructions of a Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def test_the_compose_file_keeps_to_the_specification(compose):
    jsonschema.validate(compose, COMPOSE)


def test_who_is_waited_for_healthy_says_whether_it_is_and_who_is_to_end_ends(services):
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            if how["condition"] == "service_completed_successfully":
                assert services[name]["restart"] == "no"


def test_each_volume_is_declared_and_used(compose):
    used = {source for service in compose["services"].values() for source, _, _ in mounts(service) if source[0] != "."}

    assert used == set(compose["volumes"])


def test_each_file_that_is_mounted_is_there_and_only_read(services):
    bound = [mount for service in services.values() for mount in mounts(service) if mount[0].startswith(".")]

    assert bound
    assert [source for source, _, writes in bound if writes or not (ROOT / source).is_file()] == []


def test_only_nginx_and_the_broker_have_doors_and_both_speak_tls(services):
    doors = {
        name: [port.rsplit(":", 1)[1] for port in each["ports"]] for name, each in services.items() if "ports" in each
    }

    assert doors == {"mosquitto": ["8883"], "nginx": ["80", "443"]}


def test_who_writes_keys_is_the_one_that_makes_them_and_the_controller_that_enrolls(services):
    writers = {
        name for name, each in services.items() for source, _, writes in mounts(each) if source == "security" and writes
    }

    assert writers == {"init", "controller"}


def test_the_controller_knows_each_setting_of_its_container(services, tmp_path):
    told = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text) for name, text in services["controller"]["environment"].items()
    }

    assert {name.removeprefix("EDGEWATT_").lower() for name in told} <= {field.name for field in fields(Settings)}
    del told["EDGEWATT_SECURITY"]
    settings = load({"data": tmp_path}, told)
    assert (settings.behind_proxy, settings.base_url) == (True, "https://edgewatt.localhost")


def test_the_controller_trusts_the_network_of_its_proxy_and_no_other(compose):
    [network] = compose["networks"]["default"]["ipam"]["config"]

    assert compose["services"]["controller"]["environment"]["EDGEWATT_TRUSTED_PROXIES"] == network["subnet"]


def test_init_is_asked_for_what_init_knows(services, tmp_path):
    words = [re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", word) for word in services["init"]["command"]]

    assert run([word.replace("/var/lib/edgewatt", str(tmp_path)) for word in words[1:]] + ["--json"]) == 0
    assert (tmp_path / "security/healthcheck.password").is_file()


def test_each_image_that_is_built_has_its_dockerfile_and_the_other_way_round(services):
    built = {service["build"]["dockerfile"] for service in services.values() if "build" in service}
    baked = json.loads((ROOT / "docker/bake.json").read_text())["target"]

    assert built == {f"docker/{path.name}" for path in IMAGES}
    assert {target["dockerfile"] for target in baked.values()} == built
    assert baked["agent"]["platforms"] == ["linux/amd64", "linux/arm64", "linux/arm/v7"]


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_an_image_is_pinned_small_and_without_rights(path):
    found = instructions(path)
    words = [word for word, _ in found]
    bases = [rest for word, rest in found if word == "FROM"]

    assert all(re.search(r":[\w.-]*\d|:bookworm", base) for base in bases)
    assert "ADD" not in words
    assert "HEALTHCHECK" in words
    last_user = max(index for index, word in enumerate(words) if word == "USER")
    assert found[last_user][1] == "edgewatt"
    assert "RUN" not in words[last_user:]
    for _, rest in (each for each in found if each[0] == "RUN" and "apt-get install" in each[1]):
        assert rest.count("--no-install-recommends") == rest.count("apt-get install")
        assert "rm -rf /var/lib/apt/lists/*" in rest


@pytest.mark.parametrize("path", IMAGES, ids=lambda path: path.stem)
def test_what_an_image_copies_is_there_and_what_it_installs_is_an_extra(path):
    copied = [word for kind, rest in instructions(path) if kind == "COPY" for word in rest.split()[:-1]]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    asked = {name for group in re.findall(r"'\.\[([\w,]+)\]'", path.read_text()) for name in group.split(",")}

    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert asked
    assert asked <= set(extras)


def test_without_a_profile_there_are_no_simulated_devices(services):
    started = {name for name, service in services.items() if not service.get("profiles")}

    assert started == {"init", "mosquitto", "controller", "dashboard", "nginx"}


def test_the_places_of_nginx_name_the_same_neighbours(services):
    here, there = ((ROOT / each / "place.conf").read_text() for each in ("deploy/nginx", "docker/nginx"))

    assert re.findall(r"upstream (\w+)", here) == re.findall(r"upstream (\w+)", there)
    assert {name for name, _ in re.findall(r"server (\w+):(\d+)", there)} <= set(services)


def test_at_balena_a_device_lets_itself_in_once_and_runs():
    [(name, agent)] = yaml.safe_load((ROOT / "deploy/balena/docker-compose.yml").read_text())["services"].items()
    script = agent["command"][0].replace("$$", "$")
    [enrolling, running] = re.findall(r"edgewatt-agent ([^\n]+)", script)

    assert name == "agent"
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
    assert parser().parse_args(shlex.split(enrolling)).into == Path("/data/enrolment")
    assert parser().parse_args(shlex.split(running)).settings == Path("/data/enrolment/agent.toml")


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
