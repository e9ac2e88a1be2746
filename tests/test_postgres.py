"""PostgreSQL where it differs from a file: how it is asked, what it has no place for, and when it is gone."""

import random
import string
import threading
import time

import pytest

from broker.errors import InvalidError, StorageError
from broker.messages import Telemetry
from broker.topics import TELEMETRY
from controller.cli.readiness import wait_until
from controller.settings import Settings
from controller.storage.database import VALUE_REFUSED, Server
from controller.storage.store import Store
from controller.telemetry import history
from tests.controlling import KEPT, controller

postgres = pytest.importorskip("controller.storage.postgres", reason="pip install 'edgewatt[postgres]'")
T0 = 1_800_000_000.0


@pytest.fixture
def server(databases):
    return databases.empty()


@pytest.fixture
def store(server):
    opened = Store(server)
    opened.add_device("pi5-1", T0, approved=True)
    yield opened
    opened.close()


def counted(store, table):
    return store.query(f"SELECT count(*) AS n FROM {table}")[0]["n"]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("SELECT ?", "SELECT %s"),
        ("WHERE a = ? AND b = :name_2", "WHERE a = %s AND b = %(name_2)s"),
        ("WHERE a LIKE '%?:x' AND b = ?", "WHERE a LIKE '%%?:x' AND b = %s"),
        ("WHERE a = 'it''s ?' AND b = ?", "WHERE a = 'it''s ?' AND b = %s"),
        ('SELECT "odd?" FROM t WHERE a % 2 = ?', 'SELECT "odd?" FROM t WHERE a %% 2 = %s'),
        ("SELECT a::text -- why?\n FROM t WHERE a = ?", "SELECT a::text -- why?\n FROM t WHERE a = %s"),
    ],
)
def test_marks_are_translated_and_what_is_quoted_is_left_alone(ours, theirs):
    assert postgres.translated(ours) == theirs


def test_what_it_has_no_place_for_is_replaced_in_texts_and_documents(store):
    half, whole = chr(0xD83D), chr(0x1F600)
    store.put_device("pi5-1", info={"device_type": f"a\0b{half}c{whole}", "odd": "\\u0000"})
    store.add_event(T0, "log", f"x\0{half}{whole}", facts={"rollout_id": "\0"})

    assert store.device_types() == [("pi5-1", f"a\ufffdb\ufffdc{whole}")]
    assert store.device("pi5-1")["info"]["odd"] == "\\u0000"
    assert store.events()[0]["text"] == f"x\ufffd\ufffd{whole}"


def test_a_sample_that_cannot_be_stored_does_not_hold_up_the_others(store):
    samples = [Telemetry(ts=T0 + n, session="s", seq=n) for n in range(20)]
    samples[7] = Telemetry(ts=T0, session="s", seq=2**70)

    refused = history.add_samples(store, [("pi5-1", sample, T0) for sample in samples])

    assert (refused, counted(store, "telemetry")) == (1, 19)


async def test_a_message_with_a_name_too_long_for_an_index_is_refused_and_the_next_one_is_taken(
    tmp_path, server, monkeypatch
):
    monkeypatch.setattr(KEPT, "place", server)
    long = "".join(random.Random(1).choices(string.printable, k=20_000))
    async with controller(tmp_path) as running, running.joined() as device:
        await device.sample(1, cpu_usage_percent=1.0)
        await device.say(TELEMETRY, Telemetry(ts=time.time(), session=long, seq=1))
        await device.ack(long[:9_000], "accepted", 1, op="ping")
        await device.sample(2, cpu_usage_percent=2.0)

        async def both():
            return counted(running.parts.service.store, "telemetry") == 2

        await running.until(both)
        status = await running.get("/api/status")

    assert status["messages"]["refused"] == {"value_refused": 2}
    assert status["controller"]["storage_fault"] is None


def test_sums_and_means_are_plain_numbers(store):
    history.add_samples(store, [("pi5-1", Telemetry(ts=T0, session="s", seq=n, inferences=n), T0) for n in (1, 2)])
    (row,) = store.query("SELECT sum(inferences) AS sum, avg(inferences) AS mean FROM telemetry")

    assert (row["sum"], type(row["sum"]), row["mean"], type(row["mean"])) == (3, int, 1.5, float)


def test_two_that_begin_at_the_same_time_make_the_tables_once(databases):
    server, failures = databases.running.database(), []

    def begin():
        try:
            Store(server).close()
        except StorageError as error:
            failures.append(error.message)

    both = [threading.Thread(target=begin) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()

    assert failures == []


def test_one_holds_the_database_until_its_session_ends(server):
    first, second = Store(server), Store(server)
    assert first.connection.take()
    assert not second.connection.take()
    first.close()

    assert wait_until(second.connection.take, within_s=20)
    second.close()


def test_a_session_that_the_server_ends_is_lost_for_good_and_said_in_a_sentence(store, databases):
    databases.running.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'edgewatt%'"
    )

    with pytest.raises(StorageError, match="cannot be reached") as said, store.transaction():
        store.add_event(T0, "log", "x")

    assert said.value.code == "database_unreachable"
    assert store.connection.lost
    with pytest.raises(StorageError):
        store.devices()


def test_what_holds_rows_is_counted_and_what_was_deleted_is_not(store):
    history.add_samples(store, [("pi5-1", Telemetry(ts=T0 + n, session="s", seq=n), T0) for n in range(2_000)])
    store.connection.execute("ANALYZE telemetry")
    full = store.connection.size()
    with store.transaction():
        store.connection.execute("DELETE FROM telemetry")
    store.connection.execute("ANALYZE telemetry")

    assert full.bytes >= full.used_bytes > 2_000 * 50
    assert wait_until(lambda: store.connection.size().used_bytes < full.used_bytes / 2, within_s=20)


def test_a_server_that_is_not_there_is_said_in_a_sentence(tmp_path):
    with pytest.raises(StorageError) as said:
        Store(Server(f"postgresql://edgewatt@/none?host={tmp_path}"))

    assert said.value.code == "database_unreachable"
    assert said.value.hint


def test_a_value_of_another_type_is_refused_and_the_transaction_can_go_on_after_it(store):
    with store.transaction():
        with pytest.raises(StorageError) as said, store.savepoint():
            store.put_device("pi5-1", gaps="many")
        store.add_event(T0, "log", "went on")

    assert said.value.code == VALUE_REFUSED
    assert store.events()[0]["text"] == "went on"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://edgewatt:s3cret@db/edgewatt", "password"),
        ("postgresql://edgewatt@db/edgewatt?password=s3cret", "password"),
        ("mysql://db/edgewatt", "no address"),
    ],
)
def test_an_address_that_is_none_or_that_others_could_read_a_password_in_is_refused(url, said):
    with pytest.raises(InvalidError, match=said) as refused:
        Settings(database=url)

    assert "s3cret" not in refused.value.message + refused.value.hint


def test_the_password_comes_from_a_file_and_is_not_shown(tmp_path):
    (tmp_path / "password").write_text("s3cret\n")
    settings = Settings(database="postgresql://edgewatt@db/edgewatt", database_password_file=str(tmp_path / "password"))

    assert settings.place.password == "s3cret"
    assert "s3cret" not in repr(settings.place) + repr(settings)
