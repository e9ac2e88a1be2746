"""What is no model is refused by its name, with what to do instead."""

import gzip
import io
import os
import pickle
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ArtifactError
from controller.models.analyze import analyze
from controller.models.recognise import is_safetensors


def torch_zip():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps({"weight": 1}))
        archive.writestr("model/version", "3")
    return file.getvalue()


def bomb():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.onnx", b"0" * 50_000_000)
    return file.getvalue()


SAFETENSORS = (
    len(b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}').to_bytes(8, "little")
    + b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    + bytes(4)
)


@pytest.mark.parametrize(
    ("name", "content", "said", "instead"),
    [
        ("net.pth", torch_zip(), "pickle", "safetensors"),
        ("net.pt", pickle.dumps({"weight": 1}, protocol=2), "pickle", "safetensors"),
        ("net.onnx", pickle.dumps({"weight": 1}), "pickle", "safetensors"),
        ("net.safetensors", SAFETENSORS, "weights without a graph", "--architecture"),
        ("net.onnx", bomb(), "zip archive", "unpack"),
        ("net.onnx.gz", gzip.compress(bytes(50_000_000)), "gzip archive", "unpack"),
        ("net.onnx", b"\n<!DOCTYPE html><html><body>404</body></html>", "web page", "download"),
        ("net.onnx", b'{"error": "not found"}', "text", "download"),
        ("net.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS", "git lfs pull"),
        ("net.h5", b"\x89HDF\r\n\x1a\n", "HDF5", "litert_torch"),
    ],
)
def test_something_else_is_named_and_refused_with_a_way_out(tmp_path, name, content, said, instead):
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(ArtifactError, match=said) as caught:
        analyze(path)
    assert instead in caught.value.hint
    assert caught.value.code == "foreign_file"


def test_folders_pipes_and_devices_are_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")

    for path, said in ((tmp_path, "directory"), (tmp_path / "pipe.onnx", "pipe"), ("/dev/zero", "pipe or a device")):
        with pytest.raises(ArtifactError, match=said):
            analyze(type(tmp_path)(path))


@pytest.mark.parametrize("name", ["none.onnx", "../" * 40 + "none.onnx", "a" * 300, "nul\0byte.onnx"])
def test_names_that_lead_nowhere_are_refused(tmp_path, name):
    with pytest.raises(ArtifactError, match="cannot read"):
        analyze(tmp_path / name)


@given(st.binary(max_size=64))
def test_any_bytes_are_safetensors_or_not(head):
    assert is_safetensors(head) in (True, False)
