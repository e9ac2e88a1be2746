"""A device is offered what it runs, and every other file is refused with a reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.models.manifest import About, Artifact
from controller.models.offer import Rejected, offer, wanted_formats
from controller.models.readers import OPSETS, readers

HOST_OF_AN_OLD_JETSON = {"runtimes": [{"name": "onnxruntime", "version": "1.10.0", "formats": ["onnx"]}]}
BEAGLEBONE = {"arch": "armv7l", "runtimes": [{"name": "onnxruntime", "version": "1.21.0", "formats": ["onnx"]}]}
RASPBERRY_PI_3 = {"runtimes": [{"name": "tflite-runtime", "version": "2.14.0", "formats": ["tflite"]}]}
RASPBERRY_PI_5 = {
    "runtimes": [
        {"name": "ai-edge-litert", "version": "2.3.0", "formats": ["tflite"]},
        {"name": "onnxruntime", "version": "1.32.0", "formats": ["onnx"]},
    ]
}


def file(form="onnx", *, opset=None, ir_version=None, variant="fp32", quantization=None, size=1_000_000):
    about = About(variant=variant, opset=opset, ir_version=ir_version, quantization=quantization)
    return Artifact(sha256=form, size=size, format=form, models=("net",), created_at=0.0, about=about)


def test_the_runtime_that_a_device_lists_first_decides_between_two_formats():
    onnx, tflite = file(opset=15), file("tflite")

    assert offer([onnx, tflite], RASPBERRY_PI_5).artifact == tflite
    assert offer([onnx, tflite], RASPBERRY_PI_5).runtime == "ai-edge-litert"
    assert offer([onnx, tflite], {"runtimes": RASPBERRY_PI_5["runtimes"][::-1]}).artifact == onnx
    assert offer([onnx], RASPBERRY_PI_5).runtime == "onnxruntime"


def test_a_beaglebone_has_no_runtime_for_tflite_and_gets_onnx():
    found = offer([file(opset=15), file("tflite")], BEAGLEBONE)

    assert found.artifact.format == "onnx"
    assert found.rejected == (Rejected("tflite", "is read by none of its runtimes (onnxruntime 1.21.0)"),)


def test_an_opset_above_what_an_old_onnxruntime_reads_is_refused_in_its_words():
    found = offer([file(opset=18)], HOST_OF_AN_OLD_JETSON)

    assert (found.artifact, found.reasons) == (None, "onnx opset 18 > 15 of onnxruntime 1.10.0")
    assert offer([file(opset=15, ir_version=8)], HOST_OF_AN_OLD_JETSON).artifact is not None
    assert offer([file(opset=15, ir_version=9)], HOST_OF_AN_OLD_JETSON).reasons.startswith("onnx IR version 9 > 8")


def test_what_a_device_says_of_its_runtime_beats_the_table_of_versions():
    says = {"runtimes": [{"name": "onnxruntime", "version": "1.10.0", "formats": ["onnx"], "opset_max": 18}]}

    assert offer([file(opset=18, ir_version=9)], says).artifact is not None
    says["runtimes"][0]["ir_max"] = 8
    assert offer([file(opset=18, ir_version=9)], says).reasons == "onnx IR version 9 > 8 of onnxruntime 1.10.0"


def test_versions_between_and_beyond_the_table_are_told_apart():
    def limit(version):
        runtime = {"name": "onnxruntime", "version": version, "formats": ["onnx"]}
        return readers({"runtimes": [runtime]})[0].opset_max

    assert [limit(v) for v in ("1.10.0", "1.13.1", "1.21.0", "1.22.1")] == [15, 17, 21, 22]
    assert limit("1.32.0") is None
    assert limit("built by hand") is None
    assert [row[0] for row in OPSETS] == sorted(row[0] for row in OPSETS)


@pytest.mark.parametrize(("quantization", "offered"), [("static", True), ("dynamic", False), (None, False)])
def test_dynamic_integers_never_go_to_tflite_runtime_2_14(quantization, offered):
    integers = file("tflite", variant="int8", quantization=quantization)

    assert (offer([integers], RASPBERRY_PI_3).artifact is not None) is offered
    assert offer([integers], RASPBERRY_PI_5).artifact == integers
    assert offer([file("tflite", variant="fp16")], RASPBERRY_PI_3).artifact is not None


def test_a_file_that_fits_neither_disk_nor_memory_is_refused_with_both_figures():
    large = file(opset=15, size=60_000_000)

    assert "60.0 MB of disk, 50 MB are free" in offer([large], BEAGLEBONE | {"disk_free_mb": 50}).reasons
    assert "120 MB of memory to load, the device has 100 MB" in offer([large], BEAGLEBONE | {"ram_mb": 100}).reasons
    assert offer([large], BEAGLEBONE | {"disk_free_mb": 50}, held={large.sha256}).artifact == large


def test_a_device_that_names_no_runtime_is_believed_its_formats_and_else_reads_onnx():
    assert offer([file(), file("tflite")], None).artifact.format == "onnx"
    assert offer([file(), file("tflite")], {"formats": ["tflite"]}).artifact.format == "tflite"
    assert offer([file("rknn")], {}).reasons == "rknn is read by none of its runtimes (this device)"


def test_what_could_be_made_for_a_device_carries_its_limits():
    [old] = wanted_formats(HOST_OF_AN_OLD_JETSON)

    assert (old.format, old.opset_max, old.ir_max) == ("onnx", 15, 8)
    assert [(each.format, each.opset_max) for each in wanted_formats(RASPBERRY_PI_5)] == [
        ("tflite", None),
        ("onnx", None),
    ]
    assert not wanted_formats(RASPBERRY_PI_3)[0].dynamic_int8


FILES = st.builds(
    file,
    st.sampled_from(["onnx", "tflite", "rknn"]),
    opset=st.none() | st.integers(7, 28),
    ir_version=st.none() | st.integers(3, 14),
    variant=st.sampled_from(["fp32", "fp16", "int8"]),
    quantization=st.sampled_from([None, "static", "dynamic"]),
    size=st.integers(1, 10**9),
)


@given(
    files=st.lists(FILES, max_size=4),
    info=st.sampled_from([None, HOST_OF_AN_OLD_JETSON, BEAGLEBONE, RASPBERRY_PI_3, RASPBERRY_PI_5]),
    ram_mb=st.none() | st.floats(1, 4_000),
)
def test_every_file_is_offered_or_refused_for_a_reason(files, info, ram_mb):
    found = offer(files, (info or {}) | ({} if ram_mb is None else {"ram_mb": ram_mb}))

    assert found.artifact is None or found.artifact in files
    assert all(each.reason for each in found.rejected)
    if found.artifact is None:
        assert [each.what for each in found.rejected] == [each.format for each in files]
