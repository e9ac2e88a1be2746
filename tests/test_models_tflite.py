"""A TFLite file gives the same facts as an ONNX file, and no content of it can hurt whoever reads it."""

import struct
import zipfile

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.errors import ArtifactError
from broker.metadata import MEMBER, append
from controller.models.analyze import analyze
from tests.tiny_tflite import Net, tiny_tflite

SMALL = tiny_tflite()
PARAMS = 4 * 27 + 4 + 2560
MACS = 8 * 8 * 4 * 27 + 2560


def facts_of(data, folder, name="net.tflite"):
    path = folder / name
    path.write_bytes(data)
    return analyze(path)


def test_a_tflite_file_is_known_by_its_content_and_counted_like_an_onnx_file(tmp_path):
    facts = facts_of(SMALL, tmp_path, "misnamed.onnx")

    assert (facts.format, facts.opset, facts.ir_version) == ("tflite", None, None)
    assert (facts.params, facts.macs, facts.activations, facts.convs) == (PARAMS, MACS, 256, 1)
    assert (facts.inputs, facts.outputs) == ({"image": (1, 8, 8, 3)}, {"scores": (1, 10)})
    assert facts.dtypes == {"image": "float32", "scores": "float32"}
    assert facts.operators == {"CONV_2D": 1, "FULLY_CONNECTED": 1}
    assert (facts.precision, facts.variant, facts.input_res, facts.notes) == ("fp32", "fp32", 8, ())


@pytest.mark.parametrize(
    ("stored", "between", "precision", "variant"),
    [
        (np.float16, np.float32, "fp16", "fp16"),
        (np.int8, np.float32, "dynamic int8", "int8"),
        (np.int8, np.int8, "static int8", "int8"),
    ],
)
def test_precision_is_told_and_parameters_count_as_in_fp32(tmp_path, stored, between, precision, variant):
    facts = facts_of(tiny_tflite(stored=stored, between=between), tmp_path)

    assert (facts.precision, facts.variant) == (precision, variant)
    assert (facts.params, facts.macs) == (PARAMS, MACS)
    assert facts.quantized == (variant == "int8")


@pytest.mark.parametrize(("stored", "precision"), [(np.float16, "fp16"), (np.int8, "weight-only int8")])
def test_weights_that_are_unpacked_before_use_are_known_by_how_they_are_stored(tmp_path, stored, precision):
    net = Net()
    image, kernel = net.tensor("image", (1, 8, 8, 3)), net.weights("kernel", (4, 3, 3, 3), stored)
    wide = net.operator("DEQUANTIZE", [kernel], [net.tensor("wide", (4, 3, 3, 3))])
    net.operator("CONV_2D", [image, wide, -1], [net.tensor("output", (1, 8, 8, 4))])
    facts = facts_of(net.file([image], [3]), tmp_path)

    assert (facts.precision, facts.params, facts.quantized) == (precision, 108, False)


def test_a_padded_depthwise_convolution_is_told_apart_with_the_size_it_works_at(tmp_path):
    net = Net()
    image = net.tensor("image", (1, 8, 8, 4))
    pads = net.tensor("pads", (4, 2), np.int32, np.zeros((4, 2)))
    padded = net.operator("PAD", [image, pads], [net.tensor("padded", (1, 10, 10, 4))])
    kernel = net.weights("kernel", (1, 3, 3, 4))
    net.operator("DEPTHWISE_CONV_2D", [padded, kernel, -1], [net.tensor("output", (1, 8, 8, 4))])
    facts = facts_of(net.file([image], [4]), tmp_path)

    assert (facts.macs, facts.depthwise_macs, facts.params, facts.input_res) == (8 * 8 * 4 * 9, 8 * 8 * 4 * 9, 36, 8)


def test_transposed_convolutions_and_products_of_activations_are_counted(tmp_path):
    net = Net()
    image, kernel = net.tensor("image", (1, 4, 4, 3)), net.weights("kernel", (6, 2, 2, 3))
    shape = net.tensor("shape", (4,), np.int32, [1, 8, 8, 6])
    large = net.operator("TRANSPOSE_CONV", [shape, kernel, image], [net.tensor("large", (1, 8, 8, 6))])
    options = schema.BatchMatMulOptionsT()
    options.adjX = True
    pair = (schema.BuiltinOptions.BatchMatMulOptions, options)
    net.operator("BATCH_MATMUL", [large, large], [net.tensor("output", (1, 8, 6, 6))], pair)
    facts = facts_of(net.file([image], [4]), tmp_path)

    assert facts.macs == 4 * 4 * 3 * 24 + 8 * 6 * 6 * 8


def test_what_is_not_counted_is_said(tmp_path):
    net = Net()
    image, kernel = net.tensor("image", (1, 8, 8, 3)), net.weights("kernel", (4, 3, 3, 3))
    features = net.operator("CONV_2D", [image, kernel, -1], [net.tensor("features", (1, 8, 8, 4))])
    net.operator("CUSTOM", [features], [net.tensor("boxes", (1, 10, 4))], custom="TFLite_Detection_PostProcess")
    facts = facts_of(net.file([image], [3], graphs=2), tmp_path)

    assert facts.operators["custom:TFLite_Detection_PostProcess"] == 1
    assert "custom operators are not counted" in facts.notes[0]
    assert "2 graphs" in facts.notes[1]


def test_a_free_size_is_refused_and_a_free_batch_is_one(tmp_path):
    def network(signature):
        net = Net()
        image, kernel = net.tensor("image", (1, 8, 8, 3), signature=signature), net.weights("kernel", (4, 3, 3, 3))
        net.operator("CONV_2D", [image, kernel, -1], [net.tensor("output", (1, 8, 8, 4))])
        return net.file([image], [2])

    assert facts_of(network([-1, 8, 8, 3]), tmp_path).input_shape == (1, 8, 8, 3)
    with pytest.raises(ArtifactError, match="free size"):
        facts_of(network([1, -1, -1, 3]), tmp_path)


def test_a_graph_that_multiplies_nothing_and_one_without_operators_are_no_networks(tmp_path):
    net = Net()
    image = net.tensor("image", (1, 8))
    net.operator("RELU", [image], [net.tensor("output", (1, 8))])

    with pytest.raises(ArtifactError, match="not a network"):
        facts_of(net.file([image], [1]), tmp_path)
    with pytest.raises(ArtifactError, match="no computation"):
        facts_of(Net().file([], []), tmp_path)


def test_weights_that_do_not_fit_their_input_are_refused(tmp_path):
    net = Net()
    image, kernel = net.tensor("image", (1, 8, 8, 4)), net.weights("kernel", (4, 3, 3, 3))
    net.operator("CONV_2D", [image, kernel, -1], [net.tensor("output", (1, 8, 8, 4))])

    with pytest.raises(ArtifactError, match="for 4 channels"):
        facts_of(net.file([image], [2]), tmp_path)


def test_an_absurd_shape_is_refused(tmp_path):
    net = Net()
    image = net.tensor("image", (1, 2_000_000_000, 2_000_000_000, 3))
    net.operator("CONV_2D", [image, net.weights("kernel", (4, 3, 3, 3)), -1], [net.tensor("output", (1, 8, 8, 4))])

    with pytest.raises(ArtifactError, match="absurd"):
        facts_of(net.file([image], [2]), tmp_path)


def test_what_the_file_says_about_itself_is_read_from_behind_the_model(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(SMALL)
    append(path, {"edgewatt.model": "net", "edgewatt.trained": "true"})

    assert analyze(path).metadata == {"edgewatt.model": "net", "edgewatt.trained": "true"}
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ArtifactError, match="truncated"):
        analyze(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_metadata_that_would_unpack_without_end_is_refused(tmp_path, method):
    path = tmp_path / "bomb.tflite"
    path.write_bytes(SMALL)
    with zipfile.ZipFile(path, "a", method) as archive:
        archive.writestr(MEMBER, b"0" * 20_000_000)

    with pytest.raises(ArtifactError, match="metadata"):
        analyze(path)


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path):
    for length in range(8, len(SMALL), 7):
        with pytest.raises(ArtifactError):
            facts_of(SMALL[:length], tmp_path)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(8, len(SMALL) // 4 - 1), st.one_of(st.integers(-80, 80), st.integers(-(2**31), 2**31 - 1))
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_file_with_other_offsets_and_counts_is_read_or_refused(tmp_path_factory, changes):
    data = bytearray(SMALL)
    for word, value in changes:
        struct.pack_into("<i", data, word * 4, value)
    path = tmp_path_factory.mktemp("fuzz") / "net.tflite"
    path.write_bytes(data)

    try:
        assert analyze(path).macs > 0
    except ArtifactError as error:
        assert error.message


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=3))
def test_a_file_with_other_bytes_is_read_or_refused(tmp_path_factory, changes):
    data = bytearray(SMALL)
    for at, value in changes:
        data[at] = value
    path = tmp_path_factory.mktemp("fuzz") / "net.tflite"
    path.write_bytes(data)

    try:
        assert analyze(path).macs > 0
    except ArtifactError as error:
        assert error.message


def test_lists_that_name_each_other_many_times_end_soon(tmp_path):
    graph = Net()
    image, kernel = graph.tensor("image", (1, 8, 8, 3)), graph.weights("kernel", (4, 3, 3, 3))
    output = graph.tensor("output", (1, 8, 8, 4))
    for _ in range(20):
        graph.operator("CONV_2D", [image, kernel, -1] * 1000, [output])

    with pytest.raises(ArtifactError, match="entries"):
        facts_of(graph.file([image], [output], graphs=5), tmp_path)
