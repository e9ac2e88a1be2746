"""A TFLite file carries the same texts as an ONNX file, behind its flatbuffer."""

import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ArtifactError
from broker.metadata import MAX_BYTES, MEMBER, append, read_appended

BODY = b"\x1c\x00\x00\x00TFL3" + bytes(range(256))


@given(texts=st.dictionaries(st.text(min_size=1), st.text()))
def test_what_was_appended_is_read_back_and_the_model_in_front_is_untouched(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("m") / "model.tflite"
    path.write_bytes(BODY)

    append(path, texts)

    assert read_appended(path) == texts
    assert path.read_bytes()[: len(BODY)] == BODY


def test_the_same_texts_give_the_same_bytes(tmp_path):
    paths = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    for path in paths:
        path.write_bytes(BODY)
        append(path, {"edgewatt.model": "m"})

    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_file_without_anything_behind_it_says_nothing(tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(BODY)

    assert read_appended(path) == {}


def test_what_would_unpack_without_end_is_refused_unread(tmp_path):
    path = tmp_path / "model.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, b" " * (MAX_BYTES + 1))

    with pytest.raises(ArtifactError, match="over 16 MB"):
        read_appended(path)


@pytest.mark.parametrize("content", [b"[1, 2]", b"{", b"\xff\xfe"])
def test_metadata_that_is_no_object_is_refused(tmp_path, content):
    path = tmp_path / "model.tflite"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)

    with pytest.raises(ArtifactError, match="metadata"):
        read_appended(path)
