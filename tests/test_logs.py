"""The audited stream: pages that stay put, exports, and an archive that loses nothing whenever it is cut off."""

import csv
import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import InvalidError
from broker.phases import TERMINAL
from controller.archive import DAY_S, Archive
from controller.logs import CAUSES, KINDS, SAYS, Sought
from controller.outcomes import OUTCOMES, tally
from controller.storage.store import Store
from controller.stream import KEPT_LOG_LINES, Stream
from tests.controlling import controller

T0 = 1_800_000_000.0
ROOT = Path(__file__).parent.parent


def fill(store, number, *, kind="device", at=T0, step_s=1.0, **more):
    with store.transaction():
        for n in range(number):
            store.add_event(at + n * step_s, kind, f"event {n}", **more)


def archive(store, folder, now=T0 + 1e6, **days):
    kept = {"event_days": 90.0, "archive_days": 365.0} | days
    return Archive(store=store, folder=folder, clock=lambda: now, **kept)


def lines_of(folder):
    for path in sorted(folder.glob("events-*.jsonl.gz")):
        yield from map(json.loads, gzip.decompress(path.read_bytes()).splitlines())


def test_pages_stay_put_while_events_are_added(store):
    fill(store, 25)
    stream, pages, cursor = Stream(store), [], ""
    while cursor is not None:
        page, cursor = stream.page(Sought(), 10, cursor)
        pages.append([row["text"] for row in page])
        fill(store, 3)

    assert [len(page) for page in pages] == [10, 10, 5]
    assert [text for page in pages for text in page] == [f"event {n}" for n in reversed(range(25))]


def test_following_misses_nothing_however_much_happens_between_two_looks(store):
    fill(store, 5)
    stream, seen = Stream(store), []
    while rows := stream.after(Sought(), 2, str(seen[-1]["id"] if seen else 0)):
        seen += rows
        if len(seen) < 9:
            fill(store, 2)

    assert [row["id"] for row in seen] == list(range(1, len(seen) + 1))


@pytest.mark.parametrize("cursor", ["x", "-1", "1e3", "9" * 30, "٣x"])
def test_a_cursor_that_is_none_is_refused(store, cursor):
    with pytest.raises(InvalidError):
        Stream(store).page(Sought(), 10, cursor)


def test_events_are_found_by_kind_device_who_time_and_words(store):
    store.add_event(T0, "device", "pi5-1 approved", who="cli", device_id="pi5-1")
    store.add_event(T0 + 60, "presence", "pi5-1 online", who="pi5-1", device_id="pi5-1")
    store.add_event(T0 + 120, "log", "80 % Heat_", who="pi5-2", device_id="pi5-2", facts={"level": "info"})
    stream = Stream(store)

    def found(**sought):
        return [row["text"] for row in stream.page(Sought(**sought), 10)[0]]

    assert found(kind="device") == found(who="cli") == found(words="APPROVED pi5-1") == ["pi5-1 approved"]
    assert found(device_id="pi5-2") == found(words="80 % heat_") == found(since=T0 + 61) == ["80 % Heat_"]
    assert found(words="8%") == found(words="pi5_1") == []
    assert found(who="device") == ["80 % Heat_", "pi5-1 online"]
    assert found(since=T0 + 60, until=T0 + 120) == found(milestones=True, who="device") == ["pi5-1 online"]
    with pytest.raises(InvalidError):
        found(kind="nonsense")


def test_words_are_looked_for_piece_by_piece_and_found_in_the_end(store, monkeypatch):
    monkeypatch.setattr("controller.stream.SEARCHED", 10)
    store.add_event(T0, "device", "needle")
    fill(store, 35)
    stream, cursor, pages = Stream(store), "", []
    while cursor is not None:
        page, cursor = stream.page(Sought(words="needle"), 5, cursor)
        pages.append(len(page))

    assert pages == [0, 0, 0, 1]
    assert sum(map(len, stream.whole(Sought(words="needle")))) == 1
    assert sum(map(len, stream.whole(Sought(words="event")))) == 35


@pytest.fixture(scope="module")
def small():
    opened = Store(None)
    opened.add_event(T0, "device", "x")
    yield Stream(opened)
    opened.close()


@given(words=st.text(max_size=30), who=st.text(max_size=30))
def test_any_words_are_words_and_never_sql(small, words, who):
    assert len(small.page(Sought(words=words, who=who), 10)[0]) <= 1


def test_every_kind_that_the_code_writes_is_told_of():
    assert SAYS.keys() == set(KINDS)
    assert all(CAUSES.values())


def test_a_log_is_bounded_for_each_device(store):
    fill(store, KEPT_LOG_LINES + 50, kind="log", device_id="pi5-1")
    fill(store, 5, kind="log", device_id="pi5-2")
    fill(store, 5, device_id="pi5-1")
    Stream(store).trim_log("pi5-1")

    assert Stream(store).count() == KEPT_LOG_LINES + 10
    newest, _ = Stream(store).page(Sought(kind="log", device_id="pi5-1"), 1)
    assert newest[0]["text"] == f"event {KEPT_LOG_LINES + 49}"


def test_each_end_of_a_deployment_counts_once():
    assert OUTCOMES.keys() == TERMINAL

    counted = tally({phase.value: 1 for phase in TERMINAL} | {"probing": 2})

    assert (counted.total, counted.open_count) == (len(TERMINAL) + 2, 2)
    assert counted.success_count + counted.error_count + counted.neither_count == len(TERMINAL)
    assert tally({"succeeded": 3, "failed": 1, "refused": 9}).success_rate == 0.75
    assert tally({"refused": 9}).success_rate is None


async def test_what_is_cleared_is_in_the_archive_and_the_clearing_is_told(store, tmp_path):
    fill(store, 2_500)
    done = await archive(store, tmp_path).clear("cli", reason="spring")

    assert done.removed == done.archived_to.events == 2_500
    assert [line["text"] for line in lines_of(tmp_path)] == [f"event {n}" for n in range(2_500)]
    (told,) = store.events()
    assert (told["kind"], told["who"], told["facts"]["archived_to"]) == ("archive", "cli", done.archived_to.name)
    assert told["facts"]["reason"] == "spring"
    assert told["id"] == 2_501


async def test_only_what_is_before_a_time_is_cleared_and_nothing_makes_no_file(store, tmp_path):
    fill(store, 10)
    kept = archive(store, tmp_path)

    assert (await kept.clear("rest", until=T0)).archived_to is None
    assert (await kept.clear("rest", until=T0 + 4)).removed == 4
    assert [row["text"] for row in store.events()][-1] == "event 4"


async def test_a_number_is_never_used_again(store, tmp_path):
    fill(store, 5)
    kept = archive(store, tmp_path)
    await kept.clear("cli")
    await kept.clear("cli")
    fill(store, 1)

    assert [row["id"] for row in store.events()] == [8, 7]
    assert len({file.name for file in kept.files()}) == 2


async def test_the_story_of_a_deployment_that_moves_is_left_whole(tmp_path):
    async with controller(tmp_path) as running, running.joined() as device:
        body = {"device_id": "pi5-1", "model_name": "digits_cnn_s", "max_energy_mj": 1e6}
        made = (await running.deploy(**body)).json()
        await running.until_phase(made["deployment_id"], "sent")
        cleared = (await running.post("/api/logs/clear")).json()
        life = [event["phase"] for event in (await running.get(made["watch"]))["deployment"]["events"]]
        await device.ack(made["deployment_id"], "succeeded", 9)
        await running.until_phase(made["deployment_id"], "succeeded")
        again = (await running.post("/api/logs/clear", reason="done")).json()

        assert cleared["archived_to"]
        assert life[0] == "requested"
        assert (await running.get(made["watch"]))["deployment"]["events"] == []
        fetched = await running.http.get(f"/api/logs/archives/{again['archived_to']}")
        listed = await running.get("/api/logs/archives")

    assert b'"phase":"succeeded"' in gzip.decompress(fetched.content)
    assert again["kept_until"] > made["timestamp"]
    assert [file["name"] for file in listed["archives"]] == [again["archived_to"], cleared["archived_to"]]


async def test_the_story_of_a_rollout_that_moves_is_left_whole(store, tmp_path):
    store.connection.executemany("INSERT INTO rollouts (id, open) VALUES (?, ?)", [("r1", 1), ("r2", 0)])
    for rollout_id in ("r1", "r2", None):
        store.add_event(T0, "rollout", f"{rollout_id} moved", facts={"rollout_id": rollout_id})
    await archive(store, tmp_path).clear("cli")

    assert [row["text"] for row in store.events(kind="rollout")] == ["r1 moved"]
    assert [line["text"] for line in lines_of(tmp_path)] == ["r2 moved", "None moved"]


async def test_old_events_move_by_themselves_and_old_files_go(store, tmp_path):
    fill(store, 10, step_s=DAY_S)
    kept = archive(store, tmp_path, now=T0 + 20 * DAY_S, event_days=15.0, archive_days=30.0)
    await kept.tidy()
    await kept.tidy()

    assert [line["text"] for line in lines_of(tmp_path)] == [f"event {n}" for n in range(5)]
    assert store.events()[0]["facts"]["reason"] == "older than 15 days"
    later = archive(store, tmp_path, now=T0 + 51 * DAY_S, event_days=999.0, archive_days=30.0)
    await later.tidy()
    assert later.files() == []
    assert "was kept for 30 days" in store.events()[0]["text"]


CUT_OFF = """
import asyncio, os, sys
from pathlib import Path
from controller.archive import Archive
from controller.storage.store import Store

def clear(folder, step):
    moments = iter(range(1, 99))
    def pass_by(name):
        if next(moments) == step:
            (folder / "step").write_text(name)
            os.kill(os.getpid(), 9)
    def around(owner, name):
        before = getattr(owner, name)
        def call(*args, **more):
            pass_by(f"before {name}")
            result = before(*args, **more)
            pass_by(f"after {name}")
            return result
        setattr(owner, name, call)
    def told(sql):
        if sql[:6] in {"INSERT", "DELETE", "COMMIT"}:
            pass_by(sql[:6])
    store = Store(folder / "c.db")
    around(os, "fsync")
    around(Path, "rename")
    store.connection.set_trace_callback(told)
    kept = Archive(store=store, folder=folder / "archives", event_days=90.0, archive_days=365.0)
    asyncio.run(kept.clear("cli"))
    os._exit(0)

for folder in sorted(Path(sys.argv[1]).iterdir(), key=lambda each: int(each.name)):
    child = os.fork() or clear(folder, int(folder.name))
    os.waitpid(child, 0)
"""


def test_a_clearing_that_is_killed_at_any_step_loses_nothing(tmp_path):
    wanted, steps = {f"event {n}" for n in range(30)}, []
    store = Store(tmp_path / "1" / "c.db")
    fill(store, 30)
    store.close()
    for step in range(2, 13):
        shutil.copytree(tmp_path / "1", tmp_path / str(step))
    subprocess.run([sys.executable, "-c", CUT_OFF, str(tmp_path)], cwd=ROOT, check=True)

    for folder in tmp_path.iterdir():
        store = Store(folder / "c.db")
        archive(store, folder / "archives")
        left = {row["text"] for row in store.events()}
        filed = {line["text"] for line in lines_of(folder / "archives")}
        store.close()
        steps.append((folder / "step").read_text() if (folder / "step").exists() else "done")
        assert wanted <= left | filed, steps[-1]
        assert not list((folder / "archives").glob("tmp*"))
    assert {"before fsync", "after fsync", "before rename", "after rename", "INSERT", "DELETE", "COMMIT"} <= set(steps)
    assert "done" in steps


async def test_an_export_is_streamed_in_both_forms_and_filtered(tmp_path):
    async with controller(tmp_path) as running, running.joined():
        body = {"device_id": "pi5-1", "model_name": "digits_cnn_s"}
        await running.deploy(**body, max_energy_mj=0.001)
        fill(running.parts.service.store, 1_200, kind="drift")
        as_json = (await running.http.get("/api/logs/export?format=json")).json()
        refused = (await running.http.get("/api/logs/export?type=deployment&who=controller")).text
        listed = (await running.get("/api/logs", limit=10_000))["logs"]

    assert as_json["logs"] == listed
    assert list(as_json) == ["logs", "metadata"]
    metadata = as_json["metadata"]
    names = ["created_at", "last_updated", "total_deployments", "success_count", "error_count", "success_rate"]
    assert list(metadata) == names
    assert (metadata["total_deployments"], metadata["success_rate"]) == (1, None)
    (row, *_) = rows = list(csv.DictReader(io.StringIO(refused)))
    assert {row["type"] for row in rows} == {"deployment"}
    assert datetime.fromisoformat(row["time"]).timestamp() == int(float(row["at"]))


RUN_AS_FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1"]
NONSENSE = ["type=nonsense", "cursor=x", "after=1&cursor=2", "since=soon", "limit=0"]


async def test_no_cell_of_an_export_is_a_formula_and_nonsense_is_refused_with_a_sentence(tmp_path):
    async with controller(tmp_path) as running:
        for text in RUN_AS_FORMULAS:
            running.parts.service.store.add_event(T0, "device", text, who=text)
        exported = (await running.http.get("/api/logs/export?format=csv")).text
        refused = [await running.http.get(f"/api/logs?{query}") for query in NONSENSE]
        elsewhere = await running.http.get("/api/logs/archives/..%2Fcontroller.db")

    cells = {(row["text"], row["who"]) for row in csv.DictReader(io.StringIO(exported))}
    assert cells == {(f"'{text}", f"'{text}") for text in RUN_AS_FORMULAS}
    assert {answer.status_code for answer in refused} == {422}
    assert all(answer.json()["hint"] for answer in refused)
    assert elsewhere.status_code == 404


SOURCES = sorted((ROOT / "controller").rglob("*.py"))


def test_each_kind_of_event_that_is_promised_has_a_writer_and_each_writer_a_kind():
    text = "\n".join(path.read_text() for path in SOURCES if path.name != "logs.py")
    written = set(re.findall(r'add_event\(\s*[\w.()]+,\s*"(\w+)"', text)) | {"predictor"}

    assert written <= set(KINDS)
    assert set(KINDS) - written <= {"rollout"}
