"""A file is read without being run, and what is damaged or absurd is refused with a hint."""

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from broker.errors import ArtifactError
from controller.models.analyze import analyze
from controller.models.shipped import MODELS

SMALL = MODELS / "digits_cnn_s.onnx"


def network(nodes, weights, shape=(1, 3, 8, 8), output=(1, 4, 8, 8), opset=15):
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, output)],
        [numpy_helper.from_array(np.zeros(s, np.float32), name) for name, s in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def conv(x="image", weight="w", output="output", **attributes):
    return helper.make_node("Conv", [x, weight], [output], pads=[1, 1, 1, 1], **attributes)


def facts_of(model, folder):
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return analyze(path)


def test_a_convolution_is_counted_by_its_outputs_and_its_kernel(tmp_path):
    facts = facts_of(network([conv()], {"w": (4, 3, 3, 3)}), tmp_path)

    assert (facts.params, facts.macs, facts.activations) == (108, 8 * 8 * 4 * 27, 256)
    assert (facts.depthwise_macs, facts.convs, facts.opset) == (0, 1, 15)
    assert (facts.inputs, facts.outputs) == ({"image": (1, 3, 8, 8)}, {"output": (1, 4, 8, 8)})


@pytest.mark.parametrize(("group", "per_group", "depthwise"), [(2, 2, 0), (4, 1, 8 * 8 * 4 * 9)])
def test_groups_divide_the_work_and_depthwise_is_told_apart(tmp_path, group, per_group, depthwise):
    model = network([conv(group=group)], {"w": (4, per_group, 3, 3)}, shape=(1, 4, 8, 8))
    facts = facts_of(model, tmp_path)

    assert (facts.macs, facts.depthwise_macs) == (8 * 8 * 4 * per_group * 9, depthwise)


def test_dense_layers_are_counted_in_both_spellings(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["image", "a"], ["middle"]),
        helper.make_node("Gemm", ["middle", "b"], ["output"], transB=1),
    ]
    facts = facts_of(network(nodes, {"a": (6, 5), "b": (2, 5)}, shape=(1, 6), output=(1, 2)), tmp_path)

    assert (facts.macs, facts.params, facts.features.macts_m) == (40, 40, None)


def test_a_free_batch_is_one(tmp_path):
    facts = facts_of(network([conv()], {"w": (4, 3, 3, 3)}, shape=("n", 3, 8, 8), output=("n", 4, 8, 8)), tmp_path)

    assert facts.input_shape == (1, 3, 8, 8)


def test_padding_that_an_exporter_left_as_arithmetic_is_worked_out(tmp_path):
    nodes = [
        helper.make_node("Shape", ["image"], ["shape"]),
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.array([2], np.int64))),
        helper.make_node("Gather", ["shape", "two"], ["side"]),
        helper.make_node("Constant", [], ["seven"], value=numpy_helper.from_array(np.array([7], np.int64))),
        helper.make_node("Sub", ["side", "seven"], ["edge"]),
        helper.make_node("Constant", [], ["none"], value=numpy_helper.from_array(np.zeros(1, np.int64))),
        helper.make_node("Concat", ["none", "none", *["edge"] * 2, "none", "none", *["edge"] * 2], ["pads"], axis=0),
        helper.make_node("Pad", ["image", "pads"], ["padded"]),
        helper.make_node("Conv", ["padded", "w"], ["output"]),
    ]

    assert facts_of(network(nodes, {"w": (4, 3, 3, 3)}), tmp_path).macs == 8 * 8 * 4 * 27


def test_settings_and_scalars_are_no_parameters(tmp_path):
    nodes = [
        helper.make_node("Resize", ["image", "", "scales"], ["large"]),
        helper.make_node("Conv", ["large", "w"], ["output"], pads=[1, 1, 1, 1]),
    ]
    model = network(nodes, {"w": (4, 3, 3, 3)}, output=(1, 4, 16, 16))
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales"))

    assert facts_of(model, tmp_path).params == 108


def test_integer_convolutions_are_told_as_quantized_and_counted_in_full(tmp_path):
    nodes = [
        helper.make_node("DynamicQuantizeLinear", ["image"], ["x", "scale", "zero"]),
        helper.make_node("ConvInteger", ["x", "w", "zero"], ["sums"], pads=[1, 1, 1, 1]),
        helper.make_node("Cast", ["sums"], ["output"], to=TensorProto.FLOAT),
    ]
    model = network(nodes, {})
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((4, 3, 3, 3), np.uint8), "w"))
    facts = facts_of(model, tmp_path)

    assert (facts.quantized, facts.params, facts.macs) == (True, 108, 8 * 8 * 4 * 27)


def test_a_missing_and_an_empty_file_are_refused(tmp_path):
    (tmp_path / "empty.onnx").touch()

    for name in ("none.onnx", "empty.onnx"):
        with pytest.raises(ArtifactError) as caught:
            analyze(tmp_path / name)
        assert caught.value.hint


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=1, max_value=SMALL.stat().st_size - 1))
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path_factory, length):
    path = tmp_path_factory.mktemp("cut") / "cut.onnx"
    path.write_bytes(SMALL.read_bytes()[:length])

    with pytest.raises(ArtifactError):
        analyze(path)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_model_are_refused(tmp_path_factory, junk):
    path = tmp_path_factory.mktemp("junk") / "junk.onnx"
    path.write_bytes(junk)

    with pytest.raises(ArtifactError):
        analyze(path)


def test_weights_in_another_file_are_refused_with_the_way_out(tmp_path):
    model = network([conv()], {"w": (4, 3, 3, 3)})
    options = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save_model(model, tmp_path / "split.onnx", **options)

    with pytest.raises(ArtifactError, match="another file") as caught:
        analyze(tmp_path / "split.onnx")
    assert "save_as_external_data=False" in caught.value.hint


@pytest.mark.parametrize(
    ("shape", "said"),
    [((1, 3, 1_000_000, 1_000_000), "absurd"), ((1, 3, -4, 8), "absurd"), ((1, 3, "h", "w"), "free size")],
)
def test_absurd_and_free_shapes_are_refused(tmp_path, shape, said):
    with pytest.raises(ArtifactError, match=said):
        facts_of(network([conv()], {"w": (4, 3, 3, 3)}, shape=shape), tmp_path)


def test_a_weight_that_claims_more_than_any_board_holds_is_refused(tmp_path):
    model = network([conv()], {"w": (4, 3, 3, 3)})
    model.graph.initializer[0].dims[0] = 1 << 40

    with pytest.raises(ArtifactError, match="absurd"):
        facts_of(model, tmp_path)


def test_shapes_that_contradict_each_other_are_refused(tmp_path):
    with pytest.raises(ArtifactError):
        facts_of(network([conv()], {"w": (4, 5, 3, 3)}), tmp_path)


def test_a_graph_that_multiplies_nothing_is_no_network(tmp_path):
    model = network([helper.make_node("Relu", ["image"], ["output"])], {}, output=(1, 3, 8, 8))

    with pytest.raises(ArtifactError, match="not a network"):
        facts_of(model, tmp_path)
