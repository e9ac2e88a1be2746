"""A job's life as one pure function, and what a worker says read line by line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.workshop.jobs import (
    ATTEMPTS,
    Begun,
    Cancelled,
    Failed,
    Interrupted,
    Job,
    JobState,
    Made,
    Order,
    Source,
    Told,
    step,
)
from controller.workshop.lines import LONGEST_LINE_BYTES, Lines, Result, read

TIMM = Source(kind="timm", name="resnet18.a1_in1k", pretrained=True)


def order(**changes):
    return Order(**({"model": "resnet18", "format": "onnx", "variant": "fp32", "source": TIMM} | changes))


def job(**changes):
    return Job(**({"id": "j1", "order": order(), "who": "cli", "created_at": 0.0} | changes))


def told(before, *events):
    for at, event in enumerate(events, start=1):
        before = step(before, event, float(at))
    return before


BEGUN = Begun(versions={"torch": "1"})


def test_a_job_runs_to_its_file():
    done = told(job(), BEGUN, Told(progress=0.4, step="exporting"), Made(sha256="ab"))

    assert (done.state, done.sha256, done.progress, done.attempt) == (JobState.DONE, "ab", 1.0, 1)
    assert (done.started_at, done.ended_at) == (1.0, 3.0)


def test_progress_never_goes_back():
    assert told(job(), BEGUN, Told(progress=0.8, step="a"), Told(progress=0.3, step="b")).progress == 0.8


def test_a_job_that_takes_the_controller_down_with_it_is_not_begun_for_ever():
    tried = job()
    for _ in range(ATTEMPTS):
        tried = told(tried, BEGUN, Interrupted())

    assert (tried.state, tried.code) == (JobState.FAILED, "interrupted")
    assert not tried.lasting


def test_a_polite_stop_of_the_controller_is_no_attempt():
    assert told(job(), BEGUN, Interrupted(politely=True)) == job(versions={"torch": "1"}, started_at=1.0)


@pytest.mark.parametrize("end", [Made(sha256="ab"), Failed(code="x", message="y"), Cancelled(reason="z")])
def test_what_has_ended_stays_so(end):
    ended = told(job(), BEGUN, end)

    for event in (BEGUN, Told(progress=0.1, step="?"), Made(sha256="cd"), Interrupted(), Cancelled(reason="again")):
        assert step(ended, event, 99.0) == ended


@pytest.mark.parametrize(("code", "lasting"), [("unsupported_operator", True), ("hub_unreachable", False)])
def test_only_what_the_converters_would_say_again_lasts(code, lasting):
    assert told(job(), BEGUN, Failed(code=code, message="no")).lasting is lasting


def test_the_same_order_is_the_same_work():
    assert order().key == order().key
    other = Source(kind="timm", name="resnet18.a1_in1k", pretrained=False)
    different = [order(format="tflite"), order(source=other), order(calibration="/a"), order(model="resnet18-int8")]
    assert len({each.key for each in (*different, order())}) == 5


def test_a_worker_is_told_only_what_is_known():
    assert order().request("/out") == {
        "model": "resnet18",
        "source": {"kind": "timm", "name": "resnet18.a1_in1k", "pretrained": True},
        "format": "onnx",
        "variant": "fp32",
        "calibration": None,
        "out": "/out",
    }


@given(st.lists(st.binary(max_size=50).map(lambda line: line.replace(b"\n", b"")), max_size=8), st.data())
def test_lines_are_the_same_however_they_are_cut(wanted, data):
    stream, lines, heard = b"".join(line + b"\n" for line in wanted), Lines(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        heard += lines.feed(stream[:cut])
        stream = stream[cut:]

    assert heard == wanted


def test_a_line_without_an_end_takes_no_memory():
    lines = Lines()
    for _ in range(100):
        assert list(lines.feed(b"x" * LONGEST_LINE_BYTES)) == []

    assert len(lines._rest) == 0
    assert list(lines.feed(b"\nnext\n")) == [b"next"]
    assert lines.dropped == 1


@given(st.binary())
def test_any_bytes_are_a_line_or_none(line):
    assert read(line) is None or isinstance(read(line), (Told, Result, Failed))


words = st.text("aé\x00", max_size=3)
plain = st.none() | st.booleans() | st.floats() | st.integers() | words
names = st.sampled_from(["path", "about", "code", "message", "hint", "x"])
anything = plain | st.lists(plain, max_size=2) | st.dictionaries(names, plain, max_size=3)


@given(st.dictionaries(st.sampled_from(["progress", "step", "result", "error"]), anything))
def test_any_document_is_a_line_or_none(document):
    said = read(json.dumps(document).encode())

    assert said is None or isinstance(said, (Told, Result, Failed))
    if isinstance(said, Told):
        assert 0 <= said.progress <= 1


def test_the_words_of_a_worker_are_understood():
    assert read(b'{"progress": 0.5, "step": "exporting"}') == Told(progress=0.5, step="exporting")
    assert read(b'{"result": {"path": "/a", "about": {"variant": "int8"}}}') == Result(
        path="/a", about={"variant": "int8"}
    )
    assert read(b'{"error": {"code": "hub_unreachable", "message": "no hub"}}') == Failed(
        code="hub_unreachable", message="no hub"
    )
