"""The units of deploy/systemd: what systemd makes of them, and that the programs know what they are told there."""

import dataclasses
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from controller.cli.app import app
from controller.flags import flags
from controller.settings import Settings, load
from edge_agent.program import parser
from scripts.reference import commands

UNITS = Path(__file__).parent.parent / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
HARDENED = [path for path in SERVICES if path.name != "edgewatt-users.service"]
MOST_EXPOSED = 20
"""Of 100, as `systemd-analyze security` counts; a service without a word about it has 96."""

ANALYZE = shutil.which("systemd-analyze")
NO_SYSTEMD = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def values(path, key):
    return re.findall(rf"^{key}=(.*)$", path.read_text(), re.MULTILINE)


def environment(path):
    return dict(pair.split("=", 1) for line in values(path, "Environment") for pair in shlex.split(line))


def command(path):
    return shlex.split(values(path, "ExecStart")[-1])


@NO_SYSTEMD
def test_systemd_understands_every_unit(tmp_path):
    for path in UNITS.iterdir():
        if path.is_file():
            programs = re.sub(r"/opt/\S+/bin/\S+", shutil.which("true"), path.read_text())
            (tmp_path / path.name).write_text(programs)

    checked = subprocess.run(
        [ANALYZE, "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stderr
    assert [line for line in checked.stderr.splitlines() if "edgewatt" in line] == []


@NO_SYSTEMD
@pytest.mark.parametrize("path", HARDENED, ids=lambda path: path.stem)
def test_every_service_can_do_little_besides_its_work(path):
    argv = [ANALYZE, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", str(path)]

    counted = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert counted.returncode == 0, counted.stdout[-200:]


def test_controller_and_agent_are_watched():
    for name in ("edgewatt-controller", "edgewatt-agent"):
        unit = UNITS / f"{name}.service"
        assert values(unit, "Type") == ["notify"]
        assert int(values(unit, "WatchdogSec")[0]) >= 30
        assert values(unit, "Restart") == ["always"]


def test_the_controller_knows_each_setting_of_its_unit():
    told = environment(UNITS / "edgewatt-controller.service")
    names = {name for name in told if name.startswith("EDGEWATT_")}

    assert names <= {f"EDGEWATT_{field.name.upper()}" for field in dataclasses.fields(Settings)}
    assert told.pop("EDGEWATT_SECURITY") == "/var/lib/edgewatt/security"
    settings = load(vars(flags().parse_args(command(UNITS / "edgewatt-controller.service")[3:])), told)
    assert (settings.data, settings.behind_proxy) == (Path("/var/lib/edgewatt/controller"), True)


def test_the_agent_knows_each_flag_of_its_unit():
    program, *words = command(UNITS / "edgewatt-agent.service")

    assert program.endswith("edgewatt-agent")
    assert parser().parse_args(words).settings == Path("/etc/edgewatt/agent.toml")


def test_the_backup_is_of_what_the_controller_keeps():
    program, name, *words = command(UNITS / "edgewatt-backup.service")
    [options] = [each.params for path, each in commands(get_command(app)) if path == (name,)]
    known = {option for each in options for option in each.opts}

    assert program.endswith("edgewatt")
    assert {word for word in words if word.startswith("--")} <= known
    assert words[words.index("--data") + 1] == environment(UNITS / "edgewatt-controller.service")["EDGEWATT_DATA"]
    assert values(UNITS / "edgewatt-backup.service", "ConditionPathExists") == [
        "/var/lib/edgewatt/controller/controller.db"
    ]


def test_the_dashboard_runs_as_a_module():
    assert command(UNITS / "edgewatt-dashboard.service")[1:3] == ["-m", "dashboard"]
