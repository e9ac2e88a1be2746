"""What a running model is fed with: pictures as the model takes them, a folder, a camera, results on disk."""

import io
import json
import os
import struct
import sys
import time
import zlib
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from broker.errors import ArtifactError, ConflictError, InvalidError, RuntimeUnavailableError, StorageError
from broker.messages import ActiveModel
from edge_agent.inputs import camera as cameras
from edge_agent.inputs.camera import Camera
from edge_agent.inputs.chosen import check, chosen
from edge_agent.inputs.folder import FULL_DISK_S, MOST_STALE_LINES, Folder, Seen, seen_of
from edge_agent.inputs.numbers import flat
from edge_agent.inputs.pictures import middle, opened, prepared
from edge_agent.inputs.results import Results
from edge_agent.inputs.source import Outcome, Ranked
from edge_agent.runtimes.facts import ModelFacts, Picture, read_facts
from edge_agent.serving import Server
from tests.agent_bench import deploy, running
from tests.artifact_server import serving
from tests.tiny_models import colour_model

MODEL = ActiveModel(model="colours", artifact_sha256="ab", runtime="onnxruntime")
OUTCOME = Outcome(model=MODEL, top=(Ranked(0, 0.9, "red"),), latency_ms=1.5, energy_mj=2.0, energy_source="simulated")
TAKES = ModelFacts(shape=(1, 3, 4, 4))


def picture(colour=(255, 0, 0), size=(12, 8), form="PNG", **options):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, form, **options)
    return file.getvalue()


def values(data, facts=TAKES):
    return prepared(opened(data), facts)


class Clock:
    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


# pictures


def test_a_picture_becomes_channels_of_zero_to_one_where_the_file_says_nothing():
    found = values(picture((255, 0, 51))).reshape(3, 4, 4)

    assert found[0] == pytest.approx(np.ones((4, 4)))
    assert found[1] == pytest.approx(np.zeros((4, 4)))
    assert found[2] == pytest.approx(np.full((4, 4), 0.2))


def test_mean_deviation_and_layout_of_the_file_are_followed():
    said = Picture(mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0))
    wide = ModelFacts(shape=(1, 4, 4, 3), picture=said)

    assert values(picture((255, 0, 51)), wide).reshape(4, 4, 3)[0, 0] == pytest.approx([1.0, -1.0, 0.2])


def test_a_grey_model_gets_grey_and_the_middle_of_a_picture_is_kept():
    image = Image.new("L", (30, 10), 0)
    image.paste(255, (10, 0, 20, 10))
    file = io.BytesIO()
    image.save(file, "PNG")

    assert values(file.getvalue(), ModelFacts(shape=(1, 1, 2, 2))).min() > 0.9


def test_a_photograph_that_lies_on_its_side_is_turned_upright():
    image = Image.new("RGB", (8, 8), (255, 0, 0))
    image.paste((0, 0, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif, quality=95)
    found = values(file.getvalue()).reshape(3, 4, 4)

    assert found[0, 0, 0] > 0.8
    assert found[2, 3, 0] > 0.8


@given(st.tuples(*[st.integers(1, 5_000)] * 2), st.tuples(*[st.integers(1, 640)] * 2), st.floats(0.1, 1))
def test_the_box_in_the_middle_lies_inside_and_has_the_proportions_wanted(size, wanted, crop):
    left, top, right, bottom = middle(size, wanted, crop)

    assert -1e-6 <= left < right <= size[0] + 1e-6
    assert -1e-6 <= top < bottom <= size[1] + 1e-6
    assert (right - left) * wanted[1] == pytest.approx((bottom - top) * wanted[0])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_picture_or_refused(tail):
    for data in (tail, picture()[:40] + tail, picture(form="JPEG")[:200] + tail):
        try:
            assert len(values(data)) == 48
        except InvalidError as error:
            assert error.code == "bad_image"


def test_a_picture_larger_than_memory_is_refused_before_it_is_unpacked():
    header = b"IHDR" + struct.pack(">IIBBBBB", 10_000, 6_000, 8, 2, 0, 0, 0)
    claims = picture()[:8] + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    with pytest.raises(InvalidError, match="over 50 million"):
        opened(claims + picture()[33:])


@pytest.mark.parametrize("shape", [(1, 4), (1, 2, 8, 8), (2, 3, 8, 8), ()])
def test_a_model_that_takes_no_picture_says_so(shape):
    with pytest.raises(InvalidError) as refused:
        values(picture(), ModelFacts(shape=shape))

    assert refused.value.code == "no_picture_model"


def test_a_file_whose_means_do_not_fit_its_channels_is_no_picture_model():
    with pytest.raises(InvalidError, match="3 means"):
        values(picture(), ModelFacts(shape=(1, 1, 4, 4), picture=Picture(mean=(0.0, 0.0, 0.0))))


@pytest.mark.parametrize(
    "text",
    ['{"std":0}', '{"crop":0}', '{"layout":"chw"}', '{"mean":[1,2]}', "[]", "{", '{"mean":"x"}', '{"std":[]}', "3"],
)
def test_a_file_that_describes_its_input_wrongly_cannot_be_loaded(text):
    with pytest.raises(ArtifactError) as refused:
        read_facts({"edgewatt.input": text})

    assert refused.value.code == "load_failed"


def test_without_pillow_the_extra_is_named(monkeypatch):
    data = picture()
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(RuntimeUnavailableError) as refused:
        opened(data)

    assert refused.value.code == "extra_missing"
    assert "edgewatt[images]" in refused.value.hint


# numbers


NUMBERS = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4)


@given(st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_nested_lists_become_their_numbers_in_order(nested):
    text = json.dumps(nested).replace("[", "").replace("]", "")

    assert flat(nested) == [float(each) for each in text.split(",") if each.strip()]


@pytest.mark.parametrize("bad", [None, "x", [True], [1, "2"], {"a": 1}, [float("nan")], [float("inf")]])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(InvalidError) as refused:
        flat(bad)

    assert refused.value.code == "bad_input"


# a folder


class Inbox:
    """A folder of pictures, and the source that a starting agent makes of it."""

    def __init__(self, home):
        self.home, self.path, self.clock = home, home / "in", Clock()
        self.path.mkdir()

    @property
    def results(self):
        return lines(self.home / "results.jsonl")

    def source(self, results=None):
        kept = results or Results(path=self.home / "results.jsonl", now=lambda: 1.0)
        return Folder(path=self.path, results=kept, seen=seen_of(self.path, self.home), now=self.clock)

    def put(self, name, data=None):
        (self.path / name).write_bytes(picture() if data is None else data)

    def answered(self, source, looks=3):
        """Answer what is there, and return the names."""
        names = []
        for _ in range(looks):
            while (item := source.next()) is not None:
                item.values(TAKES)
                item.answered(OUTCOME)
                names.append(item.name)
            self.clock.at += source.poll_s + 0.001
        return names


@pytest.fixture
def inbox(tmp_path):
    return Inbox(tmp_path)


def test_new_pictures_are_answered_once_oldest_first_also_over_a_restart(inbox):
    for age, name in enumerate(["b.png", "a.JPG", "c.jpeg"]):
        inbox.put(name)
        os.utime(inbox.path / name, (1_000 + age, 1_000 + age))
    inbox.put("notes.txt", b"x")
    inbox.put(".hidden.png")
    source = inbox.source()

    assert inbox.answered(source) == ["b.png", "a.JPG", "c.jpeg"]
    inbox.put("d.png")
    assert inbox.answered(source) == ["d.png"]
    assert inbox.answered(inbox.source()) == []
    assert [each["input"] for each in inbox.results] == ["b.png", "a.JPG", "c.jpeg", "d.png"]


def test_a_file_that_is_still_written_is_left_alone_until_it_rests(inbox):
    source = inbox.source()
    for size in (10, 20, 30):
        inbox.put("growing.png", picture()[:size])
        assert inbox.answered(source, looks=1) == []
    inbox.put("growing.png")

    assert inbox.answered(source) == ["growing.png"]


def test_a_file_that_changed_is_a_new_one(inbox):
    source = inbox.source()
    inbox.put("a.png")
    inbox.answered(source)
    inbox.put("a.png", picture((0, 0, 255), (20, 20)))

    assert inbox.answered(source) == ["a.png"]


def test_a_damaged_picture_and_one_that_vanished_are_refused_in_words_and_not_tried_again(inbox):
    inbox.put("bad.png", picture()[:50])
    inbox.put("gone.png")
    source = inbox.source()
    inbox.answered(source, looks=1)
    items = [source.next(), source.next()]
    (inbox.path / "gone.png").unlink()
    for item in items:
        with pytest.raises(InvalidError) as refused:
            item.values(TAKES)
        item.refused(refused.value)
    inbox.clock.at += 2

    assert inbox.answered(source) == []
    assert {each["code"] for each in inbox.results} == {"bad_image"}


def test_a_full_disk_lets_the_folder_rest_and_the_picture_is_answered_later(inbox):
    class Full:
        def answered(self, _name, _outcome):
            raise StorageError("No space left on the device for results.jsonl")

    inbox.put("a.png")
    source = inbox.source(results=Full())
    inbox.answered(source, looks=1)
    with pytest.raises(StorageError):
        source.next().answered(OUTCOME)
    assert source.next() is None
    assert "No space left" in source.fault
    source.results = Results(path=inbox.home / "results.jsonl")
    inbox.clock.at += FULL_DISK_S

    assert inbox.answered(source) == ["a.png"]
    assert source.fault is None


def test_a_folder_that_is_gone_is_a_fault_in_words_and_no_end(inbox):
    source = inbox.source()
    inbox.path.rmdir()
    assert inbox.answered(source) == []
    assert "cannot look into" in source.fault
    inbox.path.mkdir()
    inbox.put("a.png")

    assert inbox.answered(source) == ["a.png"]
    assert source.fault is None


def test_what_left_the_folder_is_forgotten_and_a_cut_line_is_left_out(tmp_path):
    seen = Seen(tmp_path / "seen.jsonl")
    for number in range(MOST_STALE_LINES + 5):
        seen.add(f"{number}.png", (1, number))
    seen.keep({"3.png"})
    with seen.path.open("ab") as file:
        file.write(b'["cut.png", 1')
    again = Seen(seen.path)

    assert len(seen.path.read_bytes().splitlines()) == 2
    assert again.has("3.png", (1, 3))
    assert not again.has("3.png", (2, 3))
    assert not again.has("7.png", (1, 7))


async def test_a_deployed_model_answers_the_pictures_of_a_folder_and_counts_them(inbox):
    inbox.put("blue.png", picture((0, 0, 255)))
    inbox.put("green.png", picture((0, 255, 0)))
    inbox.put("bad.png", b"no picture")
    source = inbox.source()
    source.now, source.poll_s = time.monotonic, 0.01
    with serving() as server:
        async with running(
            inbox.home / "agent", part_changes={"server": partial(Server, inputs=source)}, rate=1_000.0
        ) as bench:
            await bench.do(deploy(server, colour_model(), model="colours"))
            told = lambda: [each["inputs"] for each in bench.said("telemetry") if "inputs" in each]  # noqa: E731
            await bench.until(lambda: any(each["refused"] for each in told()), "a refused picture")
            await bench.until(
                lambda: sum(each.get("inferences", 0) for each in bench.said("telemetry")) == 2, "two answers"
            )

    found = {each["input"]: each for each in inbox.results}
    assert found["blue.png"]["top"][0]["label"] == "blue"
    assert found["green.png"]["energy_source"] == "simulated"
    assert found["bad.png"]["code"] == "bad_image"
    assert {each["source"] for each in told()} == {"folder"}


# results


def test_results_never_grow_beyond_their_limit_and_the_newest_are_kept(tmp_path):
    results = Results(path=tmp_path / "results.jsonl", most_bytes=1_000, now=lambda: 5.0)
    for number in range(50):
        results.answered(f"{number}.png", OUTCOME)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.jsonl", "results.jsonl.1"]
    assert all(path.stat().st_size <= 1_000 for path in tmp_path.iterdir())
    newest = lines(results.path)[-1]
    assert newest == {
        "ts": 5.0,
        "input": "49.png",
        "model": "colours",
        "artifact_sha256": "ab",
        "top": [{"index": 0, "confidence": 0.9, "label": "red"}],
        "latency_ms": 1.5,
        "energy_mj": 2.0,
        "energy_source": "simulated",
    }


def test_results_that_cannot_be_written_are_a_storage_error(tmp_path):
    (tmp_path / "results.jsonl").mkdir()
    with pytest.raises(StorageError):
        Results(path=tmp_path / "results.jsonl").refused("a.png", InvalidError("bad"))


# a camera


class Eye:
    """A camera of ours, as OpenCV's VideoCapture: frames of blue, green, red; it keeps four of them."""

    def __init__(self, frames=1_000, plugged=True):
        self.frames, self.plugged, self.stale, self.released = frames, plugged, 4, False

    def isOpened(self):  # noqa: N802
        return self.plugged

    def grab(self):
        self.stale -= 1
        return True

    def read(self):
        if not self.frames:
            return False, None
        self.frames -= 1
        frame = np.zeros((6, 8, 3), np.uint8)
        frame[:, :, 2] = 255 if self.stale <= 0 else 0
        return True, frame

    def release(self):
        self.released = True


def watching(tmp_path, *eyes):
    opened_eyes = iter(eyes)
    clock = Clock()
    results = Results(path=tmp_path / "results.jsonl", now=lambda: 1.0)
    return Camera(number=0, results=results, capture=lambda _number: next(opened_eyes), now=clock), clock


def test_a_frame_is_what_the_camera_sees_now_in_red_green_blue(tmp_path):
    camera, _ = watching(tmp_path, Eye())
    item = camera.next()
    item.answered(OUTCOME)

    assert item.values(TAKES).reshape(3, 4, 4)[0].min() == 1.0
    assert lines(tmp_path / "results.jsonl")[0]["input"].startswith("camera:0 ")


def test_a_camera_that_is_unplugged_is_a_fault_and_is_tried_again(tmp_path):
    first, absent, second = Eye(frames=1), Eye(plugged=False), Eye()
    camera, clock = watching(tmp_path, first, absent, second)

    assert camera.next()
    assert camera.next() is None
    assert first.released
    assert camera.fault == "camera 0 gives no picture"
    assert camera.next() is None
    clock.at += cameras.AGAIN_S
    assert camera.next() is None
    clock.at += cameras.AGAIN_S
    assert camera.next()
    assert camera.fault is None
    camera.close()
    assert second.released


def test_an_error_of_opencv_is_a_camera_without_a_picture(tmp_path):
    class Broken(Eye):
        def read(self):
            raise ValueError("(-215:Assertion failed)")

    camera, _ = watching(tmp_path, Broken())

    assert camera.next() is None
    assert camera.fault == "camera 0 gives no picture"


def test_a_refused_frame_is_kept_in_words(tmp_path):
    camera, _ = watching(tmp_path, Eye())
    camera.next().refused(InvalidError("no picture", code="no_picture_model"))

    assert lines(tmp_path / "results.jsonl")[0]["code"] == "no_picture_model"


def test_a_camera_without_opencv_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(RuntimeUnavailableError, match="OpenCV") as refused:
        chosen("camera:0", tmp_path)

    assert refused.value.code == "extra_missing"
    assert "edgewatt[camera]" in refused.value.hint


# the setting


@pytest.mark.parametrize(
    "text", ["", "folder:", "folder", "camera:", "camera:x", "http", "http:70000", "tv:1", "samples:2"]
)
def test_an_input_that_names_no_source_is_refused(text):
    with pytest.raises(InvalidError) as refused:
        check(text)

    assert refused.value.code == "bad_setting"


def test_samples_are_no_source_and_a_folder_has_to_be_there(tmp_path):
    assert chosen("samples", tmp_path) is None
    assert chosen(f"folder:{tmp_path}", tmp_path / "data").name == "folder"
    with pytest.raises(InvalidError, match="no folder"):
        chosen(f"folder:{tmp_path}/none", tmp_path)


def test_a_port_that_is_taken_is_said(tmp_path):
    first = chosen("http:0", tmp_path)
    with pytest.raises(ConflictError) as refused:
        chosen(f"http:{first.port}", tmp_path)
    first.close()

    assert refused.value.code == "port_taken"
