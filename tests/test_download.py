"""A download survives what networks do to it, and leaves nothing half when it cannot."""

import hashlib
import threading
import time
from email.utils import formatdate

import pytest

from broker.errors import ArtifactError, StorageError
from edge_agent.backoff import jittered
from edge_agent.download import Downloader, Patience
from edge_agent.http_answer import retry_after_s
from edge_agent.work import StoppedError
from tests.artifact_server import serving
from tests.tiny_models import reference

DATA = bytes(range(256)) * 2_000


@pytest.fixture
def server():
    with serving() as artifacts:
        artifacts.add(hashlib.sha256(DATA).hexdigest(), DATA)
        yield artifacts


@pytest.fixture
def part(tmp_path):
    return tmp_path / "x.part"


def fetch(
    server, part, *, give_up_s=5.0, timeout_s=5.0, free=10**12, stop=None, ref=None, hosts=frozenset(), news=None
):
    patience = Patience(timeout_s=timeout_s, first_wait_s=0.01, most_wait_s=0.05, give_up_s=give_up_s)
    loader = Downloader(patience=patience, free_bytes=lambda _: free)
    told = news if news is not None else []
    loader.fetch(
        ref or reference(DATA, server.base_url),
        part,
        stop=stop or threading.Event(),
        on_progress=lambda have, total: told.append((have, total)),
        hosts=hosts,
    )
    return told


def test_a_whole_file_arrives_with_rising_progress(server, part):
    told = fetch(server, part)

    assert part.read_bytes() == DATA
    assert told == sorted(told)
    assert told[-1] == (len(DATA), len(DATA))


def test_a_broken_connection_is_resumed_where_it_broke(server, part):
    server.faults = [{"cut": 100_000}]

    fetch(server, part)

    assert part.read_bytes() == DATA
    assert server.requests[1]["Range"] == "bytes=100000-"
    assert server.requests[1]["If-Range"]


def test_a_part_of_an_earlier_life_is_continued(server, part):
    part.write_bytes(DATA[:200_000])

    fetch(server, part)

    assert part.read_bytes() == DATA
    assert server.requests[0]["Range"] == "bytes=200000-"


def test_a_file_that_changed_in_between_is_taken_from_its_beginning(server, part):
    server.faults = [{"cut": 100_000, "etag": '"old"'}]

    fetch(server, part)

    assert part.read_bytes() == DATA


@pytest.mark.parametrize("fault", [{"ignore_range": True}, {"status": 416}, {"shift": 7}])
def test_a_server_that_does_not_continue_is_asked_from_the_beginning(server, part, fault):
    part.write_bytes(DATA[:200_000])
    server.faults = [fault]

    fetch(server, part)

    assert part.read_bytes() == DATA


def test_an_overlong_part_is_dropped(server, part):
    part.write_bytes(DATA + b"more")

    fetch(server, part)

    assert part.read_bytes() == DATA


@pytest.mark.parametrize("wrong", [DATA + b"x", DATA[:-1]])
def test_a_file_of_another_size_is_refused(server, part, wrong):
    server.faults = [{"data": wrong}]

    with pytest.raises(ArtifactError) as refused:
        fetch(server, part)

    assert refused.value.code == "size_mismatch"


def test_an_overlong_body_without_a_length_is_refused(server, part):
    server.faults = [{"data": DATA + b"x", "no_length": True}]

    with pytest.raises(ArtifactError) as refused:
        fetch(server, part)

    assert refused.value.code == "size_mismatch"


def test_a_short_body_without_a_length_is_continued(server, part):
    server.faults = [{"cut": 5_000, "no_length": True}]

    fetch(server, part)

    assert part.read_bytes() == DATA


def test_a_stalled_server_is_left_and_asked_again(server, part):
    released = threading.Event()
    server.faults = [{"stall": released}]

    fetch(server, part, timeout_s=0.2)
    released.set()

    assert part.read_bytes() == DATA


def test_a_file_that_shrinks_between_two_attempts_is_refused(server, part):
    server.faults = [{"cut": 100_000, "etag": '"same"'}, {"data": DATA[:-9], "etag": '"same"'}]

    with pytest.raises(ArtifactError, match=f"has {len(DATA) - 9} bytes instead of {len(DATA)}") as refused:
        fetch(server, part)

    assert refused.value.code == "size_mismatch"


def test_a_content_length_that_lies_is_refused_before_the_body(server, part):
    server.faults = [{"length": len(DATA) - 1}]

    with pytest.raises(ArtifactError) as refused:
        fetch(server, part)

    assert refused.value.code == "size_mismatch"
    assert not part.exists()


def test_a_server_that_cuts_and_cuts_is_resumed_each_time_and_nothing_comes_twice(server, part):
    server.faults = [{"cut": 60_000}] * 8

    fetch(server, part)

    assert part.read_bytes() == DATA
    asked = [request.get("Range") for request in server.requests]
    assert asked == [None, *(f"bytes={n * 60_000}-" for n in range(1, 9))]


class Waits(threading.Event):
    """A stop that never comes, and notes how long it was waited for."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def wait(self, timeout=None):
        self.noted.append(timeout)
        return False


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_given_the_time_it_asks_for_and_a_little_more_of_each_devices_own(server, part, status):
    soon = formatdate(time.time() + 90, usegmt=True)
    server.faults = [{"status": status, "headers": {"Retry-After": said}} for said in ("7", soon)]
    stop = Waits()

    fetch(server, part, give_up_s=0.0, stop=stop)

    assert part.read_bytes() == DATA
    assert 7 <= stop.noted[0] <= 10.5
    assert 87 <= stop.noted[1] <= 138


def test_a_busy_server_is_no_failed_attempt(server, part):
    server.faults = [{"status": 503, "headers": {"Retry-After": "0"}}, {"status": 429}] * 3

    fetch(server, part, give_up_s=5.0)

    assert part.read_bytes() == DATA
    assert len(server.requests) == 7


def test_a_server_error_is_tried_again_until_patience_runs_out(server, part):
    server.faults = [{"status": 500}] * 1_000

    with pytest.raises(ArtifactError) as gave_up:
        fetch(server, part, give_up_s=0.2)

    assert gave_up.value.code == "download_failed"
    assert gave_up.value.facts["retryable"]
    assert len(server.requests) > 2


def test_a_missing_file_ends_at_once(server, part):
    with pytest.raises(ArtifactError, match="404") as refused:
        fetch(server, part, ref=reference(b"unknown", server.base_url))

    assert refused.value.code == "not_served"


def test_a_full_disk_is_seen_before_the_download(server, part):
    part.write_bytes(DATA[:10])

    with pytest.raises(StorageError, match="No space left") as full:
        fetch(server, part, free=1_000)

    assert full.value.code == "disk_full"
    assert not server.requests
    assert not part.exists()


def test_a_disk_that_fills_up_on_the_way_leaves_no_part(server, part):
    part.symlink_to("/dev/full")

    with pytest.raises(StorageError, match="No space left"):
        fetch(server, part)

    assert not part.is_symlink()


def test_a_stopped_download_keeps_its_part(server, part):
    stop = threading.Event()
    server.hold = threading.Event()

    def work():
        with pytest.raises(StoppedError):
            fetch(server, part, stop=stop)

    worker = threading.Thread(target=work)
    worker.start()
    assert server.asked.wait(5)
    stop.set()
    server.hold.set()
    worker.join()

    assert part.exists()
    assert part.stat().st_size < len(DATA)


NO_ADDRESSES = ["nonsense", "http://[::1", "http://127.0.0.1:99999/x", "http://127.0.0.1:0/x", "file:///etc/passwd"]


@pytest.mark.parametrize("url", ["http://elsewhere.example/x", "ftp://127.0.0.1/x", *NO_ADDRESSES])
def test_a_foreign_host_is_refused(server, part, url):
    ref = reference(DATA, server.base_url)
    foreign = type(ref)(url=url, sha256=ref.sha256, size=ref.size)

    with pytest.raises(ArtifactError) as refused:
        fetch(server, part, ref=foreign)

    assert refused.value.code == "host_not_allowed"


def test_a_redirect_to_a_foreign_host_is_refused(server, part):
    server.faults = [{"status": 302, "headers": {"Location": "http://elsewhere.example/x"}}]

    with pytest.raises(ArtifactError) as refused:
        fetch(server, part)

    assert refused.value.code == "host_not_allowed"


def test_a_redirect_to_a_foreign_host_in_the_middle_is_refused_and_keeps_what_is_here(server, part):
    away = {"status": 302, "headers": {"Location": "http://elsewhere.example/x"}}
    server.faults = [{"cut": 100_000}, away]

    with pytest.raises(ArtifactError) as refused:
        fetch(server, part)

    assert refused.value.code == "host_not_allowed"
    assert part.stat().st_size == 100_000


def test_a_redirect_on_the_same_host_is_followed(server, part):
    url = reference(DATA, server.base_url).url
    server.faults = [{"status": 307, "headers": {"Location": url}}]

    fetch(server, part)

    assert part.read_bytes() == DATA


def test_retry_after_is_read_as_seconds_and_as_a_date():
    now = time.time()

    assert retry_after_s("7", now=now) == 7
    assert retry_after_s("999999", now=now) == 3600
    assert retry_after_s(formatdate(now + 60, usegmt=True), now=now) == pytest.approx(60, abs=2)
    assert retry_after_s("soon", now=now) is None
    assert retry_after_s(None, now=now) is None


def test_waits_double_with_jitter_up_to_their_limit():
    waits = jittered(first_s=1, most_s=8, seed=1)
    drawn = [next(waits) for _ in range(6)]

    for wait, top in zip(drawn, (1, 2, 4, 8, 8, 8), strict=True):
        assert top / 2 <= wait <= top
