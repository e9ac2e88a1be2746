"""Promises of the repository as a whole: dependency arrows, light extras, and what its files say of each other."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from controller.access.rules import RULES
from controller.api.app import DOCUMENTED, described

ROOT = Path(__file__).parent.parent
OURS = ("broker", "controller", "edge_agent", "dashboard")
MAY_IMPORT = {
    "broker": {"broker"},
    "edge_agent": {"broker", "edge_agent"},
    "controller": {"broker", "controller", "artifacts", "data"},
    "dashboard": {"broker", "controller", "dashboard"},
}
LONGEST_MODULE = 300


def modules():
    return sorted(path for package in OURS for path in (ROOT / package).rglob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def imported(path):
    """Return the modules that `path` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_follow_the_arrows(path):
    package = path.relative_to(ROOT).parts[0]

    foreign = {
        name
        for name in imported(path)
        if name.split(".")[0] in (*OURS, "tests", "benchmarks", "scripts")
        and name.split(".")[0] not in MAY_IMPORT[package]
    }

    assert not foreign


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_every_module_says_its_one_job_first(path):
    source = path.read_text()

    assert not source or ast.get_docstring(ast.parse(source))


def test_the_dashboard_reaches_the_controller_only_through_its_client():
    reached = {
        name for path in (ROOT / "dashboard").rglob("*.py") for name in imported(path) if name.startswith("controller")
    }

    assert reached <= {"controller.client"}


def test_no_module_grows_without_a_ceiling():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in modules()}

    assert [name for name, lines in lengths.items() if lines > LONGEST_MODULE] == []


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_a_device_installs_three_small_packages():
    names = {line.split(">")[0].split("=")[0] for line in project()["project"]["dependencies"]}

    assert names == {"paho-mqtt", "psutil", "msgspec"}


def test_torch_is_asked_for_by_one_extra_only():
    extras = project()["project"]["optional-dependencies"]

    assert [name for name, lines in extras.items() if any("torch" in line for line in lines)] == ["models"]


def test_every_package_is_shipped():
    shipped = project()["tool"]["setuptools"]["packages"]["find"]["include"]

    assert {f"{package}*" for package in OURS} <= set(shipped)


HEAVY = {
    "pandas",
    "sklearn",
    "onnx",
    "onnxruntime",
    "numpy",
    "fastapi",
    "uvicorn",
    "httpx",
    "streamlit",
    "amqtt",
    "rich",
}


@pytest.mark.parametrize("module", ["broker.topics", "broker.paho", "edge_agent.agent", "edge_agent.program"])
def test_what_a_device_runs_stays_light(module):
    code = f"import {module}, sys; print(*{{name.partition('.')[0] for name in sys.modules}})"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert not HEAVY & set(loaded.split())


def routes():
    """Every method and path template that the application answers, those outside its description too."""
    for module in DOCUMENTED:
        for route in module.router.routes:
            for method in getattr(route, "methods", None) or {"WS"}:
                yield ("GET" if method == "HEAD" else method), route.path
    for path in ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json"):
        yield "GET", path


def test_every_path_has_a_role_and_every_role_a_path():
    assert set(routes()) == set(RULES), "a new path needs a role in controller/access/rules.py"
    documented = {
        (method.upper(), path) for path, methods in described("1").openapi()["paths"].items() for method in methods
    }
    assert documented <= set(RULES)
