"""A table of benchmarks keeps whole rows through crashes, and each measurement once."""

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from broker.benchmark_row import COLUMNS, BenchmarkRow
from broker.errors import EdgeWattError
from edge_agent.benchmark.table import key_of, opened, read


def row(model="m", **changes):
    plain = {"device": "generic_x86", "runtime": "onnxruntime", "version": "1", "threads": 1, "artifact_sha256": model}
    return BenchmarkRow(model=model, latency_avg_s=0.0123456789, **{**plain, **changes})


def put(path, *rows):
    with opened(path) as table:
        for each in rows:
            table.put(each)


def models(path):
    return [found["model"] for found in read(path)]


def test_rows_are_appended_under_the_columns_of_the_project(tmp_path):
    path = tmp_path / "sub" / "t.csv"
    put(path, row("a"))
    put(path, row("b", note="two\nlines, and a comma"))

    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    assert tuple(found[0]) == COLUMNS
    assert [r["model"] for r in found] == ["a", "b"]
    assert found[0]["latency_avg_s"] == "0.0123457"
    assert found[0]["energy_mj"] == ""
    assert found[1]["note"] == "two lines, and a comma"


def test_a_row_is_on_disk_as_soon_as_it_is_put(tmp_path):
    with opened(tmp_path / "t.csv") as table:
        table.put(row("a"))
        assert models(tmp_path / "t.csv") == ["a"]


def test_the_same_measurement_again_takes_the_place_of_the_older_one(tmp_path):
    path = tmp_path / "t.csv"
    put(path, row("a"), row("b"), row("a", rss_mb=7.0))

    assert models(path) == ["b", "a"]
    assert read(path)[1]["rss_mb"] == "7.0"
    with opened(path) as table:
        table.put(row("c"))
    assert models(path) == ["b", "a", "c"]


@pytest.mark.parametrize("change", [{"version": "2"}, {"threads": 2}, {"device": "other"}, {"artifact_sha256": "x"}])
def test_another_version_thread_count_device_or_file_is_another_measurement(tmp_path, change):
    with opened(tmp_path / "t.csv") as table:
        table.put(row("a"))
        assert table.done(key_of(row("a")))
        assert not table.done(key_of(row("a", **change)))


@hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wherever_a_crash_cuts_the_file_whole_rows_stay_and_work_goes_on(tmp_path, data):
    path = tmp_path / "t.csv"
    path.unlink(missing_ok=True)
    rows = [row(name) for name in "abc"]
    put(path, *rows)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])

    with opened(path) as table:
        kept = [found["model"] for found in table.rows]
        for each in rows:
            if not table.done(key_of(each)):
                table.put(each)

    assert kept == list("abc")[: max(whole[:cut].count(b"\n") - 1, 0)]
    assert path.read_bytes() == whole


@pytest.mark.parametrize("content", [b"hello", b"name,size\na,1\n", b"\x00\xff\n", b"model\nx\n"])
def test_a_file_that_is_no_table_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)

    with pytest.raises(EdgeWattError, match="no table of benchmarks"), opened(path):
        pass
    assert path.read_bytes() == content


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    path = tmp_path / "t.csv"
    put(path, row("a"), row("b"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + "torn,line\n" + lines[2])

    with pytest.raises(EdgeWattError, match="line 2 has 2 fields"):
        read(path)


def test_two_benchmarks_do_not_write_one_file(tmp_path):
    path = tmp_path / "t.csv"
    with opened(path) as table:
        table.put(row("a"))
        table.put(row("a", rss_mb=1.0))
        with pytest.raises(EdgeWattError, match="another benchmark writes"), opened(path):
            pass
    put(path, row("b"))
    assert models(path) == ["a", "b"]


def test_a_table_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(EdgeWattError, match="cannot write"), opened(tmp_path / "file" / "t.csv"):
        pass


@given(content=st.binary(max_size=300))
def test_any_file_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(content)
        try:
            rows = read(path)
        except EdgeWattError:
            return
    assert rows == []
