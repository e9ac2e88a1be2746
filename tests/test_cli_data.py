"""`edgewatt data import` needs no controller, writes whole files or none, and says what it did."""

import csv
import hashlib
import json

import pytest

from broker.benchmark_row import COLUMNS
from controller.cli.app import run
from controller.dataset.rules import SAYS

RUNS = "model,iterations,latency_ms,energy_mwh\nresnet18,500,95.1,89.9\nresnet18,500,96,90.1\nmy_net,500,95,5\n"


@pytest.fixture
def edgewatt(capsys):
    """Run a command line: exit code, stdout, stderr."""

    def call(*words):
        code = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def runs(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(RUNS)
    return path


def test_rows_go_to_the_data_folder_and_a_report_is_read_by_people_and_programs(edgewatt, runs, tmp_path):
    words = ("data", "import", runs, "--device", "jetson nano", "--controller-data", tmp_path / "data")
    code, out, err = edgewatt(*words, "--report", tmp_path / "report.json")
    rows = list(csv.DictReader((tmp_path / "data/measurements/runs.csv").read_text().splitlines()))
    report = json.loads((tmp_path / "report.json").read_text())

    assert code == 0
    assert [(row["model"], row["device"], row["energy_mj"]) for row in rows] == [
        ("resnet18", "jetson_nano_2gb", "647.28")
    ]
    assert tuple(rows[0]) == COLUMNS
    assert report["file"]["sha256"] == hashlib.sha256(RUNS.encode()).hexdigest()
    assert report["rules"] == {code: version for code, (version, _) in SAYS.items()}
    assert [(row["line"], row["status"]) for row in report["rows"]] == [
        (2, "accepted"),
        (3, "rejected"),
        (4, "rejected"),
    ]
    assert {each["code"]: each["rows"] for each in report["summary"]["reasons"]}["power_below_idle"] == 1
    assert "less power than the board draws idle" in out
    assert "line 2 is kept" in out
    assert "edgewatt predictors train --data" in err


def test_what_was_imported_is_accepted_unchanged_the_next_time(edgewatt, runs, tmp_path):
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"

    assert edgewatt("data", "import", runs, "--device", "jetson_nano_2gb", "--out", first)[0] == 0
    code, out, _ = edgewatt("data", "import", first, "--out", second, "--json")
    assert code == 0
    assert {row["status"] for row in json.loads(out)["rows"]} == {"accepted"}
    assert second.read_bytes() == first.read_bytes()


def test_a_dry_run_writes_nothing(edgewatt, runs, tmp_path):
    words = ("--report", tmp_path / "report.json", "--controller-data", tmp_path / "data", "--dry-run", "--json")
    code, out, err = edgewatt("data", "import", runs, "--device", "jetson_nano_2gb", *words)

    assert code == 0
    assert json.loads(out)["out"] is None
    assert "nothing was written" in err
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


def test_a_file_of_which_no_row_stands_fails_and_leaves_the_report(edgewatt, tmp_path):
    runs = tmp_path / "runs.csv"
    runs.write_text("model,energy_avg_mwh,duration_avg_s\nresnet18,16,16.2\n")
    words = ("data", "import", runs, "--device", "raspberry_pi_5", "--out", tmp_path / "rows.csv")
    code, _, err = edgewatt(*words, "--report", tmp_path / "report.json")
    row = json.loads((tmp_path / "report.json").read_text())["rows"][0]

    assert code == 1
    assert "--iterations N" in err
    assert not (tmp_path / "rows.csv").exists()
    assert row["kept"] == {"energy_run_mj": 57_600.0, "duration_s": 16.2}
    assert edgewatt(*words, "--iterations", 500, "--quiet")[0] == 0


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "code", "sentence"),
    [
        ((b"PK\x03\x04",), 2, "an Excel or another zipped file"),
        ((RUNS.encode(),), 2, "does not say on which board"),
        ((RUNS.encode(), "--device", "x", "--iterations", "0"), 2, "--iterations"),
        ((RUNS.encode(), "--device", "x", "--out", "runs.csv"), 2, "is the file that is read"),
        ((RUNS.encode(), "--device", "x", "--out", "a.csv", "--report", "a.csv"), 2, "cannot hold both"),
        ((RUNS.encode(), "--device", "x", "--out", "/dev/full"), 1, "No space left on device"),
        ((RUNS.encode(), "--device", "x", "--out", "runs.csv/rows.csv"), 1, "cannot write"),
        ((RUNS.encode(), "--device", "x", "--out", "."), 1, "cannot write"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(edgewatt, in_folder, given, code, sentence):
    content, *words = given
    (in_folder / "runs.csv").write_bytes(content)
    ended, out, err = edgewatt("data", "import", "runs.csv", *words)

    assert (ended, out) == (code, "")
    assert sentence in err
    assert "Traceback" not in err
    assert [path.name for path in in_folder.iterdir()] == ["runs.csv"]


def test_the_error_of_a_missing_file_is_json_where_the_data_would_have_been(edgewatt, tmp_path):
    code, _, err = edgewatt("data", "import", tmp_path / "none.csv", "--device", "x", "--json")

    assert code == 2
    assert json.loads(err)["field"] == "file"
