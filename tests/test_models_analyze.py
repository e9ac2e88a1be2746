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


def branch(name, weight, out):
    """A branch of an If: a convolution of the outer image with weights of its own."""
    return helper.make_graph(
        [helper.make_node("Conv", ["image", f"{name}_w"], [f"{name}_y"], pads=[1, 1, 1, 1])],
        name,
        [],
        [helper.make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(np.zeros(weight, np.float32), f"{name}_w")],
    )


def test_weights_inside_branches_are_counted_and_of_the_work_the_larger_branch(tmp_path):
    out = (1, 4, 8, 8)
    large, small = branch("large", (4, 3, 3, 3), out), branch("small", (4, 3, 3, 3), out)
    small.node[0].attribute[0].ints[:] = [0, 0, 0, 0]
    small.output[0].type.tensor_type.shape.dim[2].dim_value = 6
    small.output[0].type.tensor_type.shape.dim[3].dim_value = 6
    nodes = [
        helper.make_node("If", ["which"], ["output"], then_branch=large, else_branch=small),
    ]
    model = network(nodes, {})
    model.graph.initializer.append(numpy_helper.from_array(np.array([True]), "which"))
    facts = facts_of(model, tmp_path)

    assert (facts.params, facts.macs, facts.operators) == (216, 8 * 8 * 4 * 27, {"Conv": 2, "If": 1})


def test_sparse_weights_count_as_the_tensor_they_stand_for(tmp_path):
    model = network([conv()], {})
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    indices = numpy_helper.from_array(np.array([0, 5], np.int64), "w_indices")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 3, 3, 3]))
    nodes = [helper.make_node("Constant", [], ["w"], sparse_value=model.graph.sparse_initializer[0]), conv()]
    facts = facts_of(network(nodes, {}), tmp_path)

    assert (facts.params, facts.macs) == (108, 8 * 8 * 4 * 27)


def function(name, nodes):
    return helper.make_function("mine", name, ["image", "w"], ["output"], nodes, [helper.make_opsetid("", 15)])


def with_functions(*functions, calls="outer"):
    node = helper.make_node(calls, ["image", "w"], ["output"], domain="mine")
    model = network([node], {"w": (4, 3, 3, 3)})
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.functions.extend(functions)
    for each in model.functions:
        each.opset_import.append(helper.make_opsetid("mine", 1))
    return model


def test_functions_are_counted_where_they_are_called(tmp_path):
    facts = facts_of(with_functions(function("outer", [conv()])), tmp_path)

    assert (facts.macs, facts.operators, facts.notes) == (8 * 8 * 4 * 27, {"Conv": 1}, ())


def test_functions_that_call_themselves_or_unfold_without_end_are_refused(tmp_path):
    itself = helper.make_node("outer", ["image", "w"], ["output"], domain="mine")
    levels = [
        function(f"f{i}", [helper.make_node(f"f{i + 1}", ["image", "w"], ["output"], domain="mine")] * 10)
        for i in range(8)
    ]

    for model in (
        with_functions(function("outer", [itself])),
        with_functions(*levels, function("f8", [conv()]), calls="f0"),
    ):
        with pytest.raises(ArtifactError, match=r"calls itself|unfold|damaged"):
            facts_of(model, tmp_path)


def test_operators_outside_onnx_are_named_and_not_counted(tmp_path):
    nodes = [helper.make_node("Fancy", ["image"], ["same"], domain="com.example"), conv()]
    model = network(nodes, {"w": (4, 3, 3, 3)})
    model.opset_import.append(helper.make_opsetid("com.example", 1))
    facts = facts_of(model, tmp_path)

    assert facts.operators == {"com.example.Fancy": 1, "Conv": 1}
    assert "com.example.Fancy" in facts.notes[0]


def hidden_constant():
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3, 3, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def test_weights_in_another_file_are_found_wherever_they_hide(tmp_path):
    constant = network([helper.make_node("Constant", [], ["w"], value=hidden_constant()), conv()], {})
    inner = branch("inner", (4, 3, 3, 3), (1, 4, 8, 8))
    inner.initializer[0].CopyFrom(hidden_constant())
    node = helper.make_node("If", ["which"], ["output"], then_branch=inner, else_branch=inner)
    nested = network([node], {})
    sparse = network([conv()], {})
    sparse.graph.sparse_initializer.add(dims=[4, 3, 3, 3]).values.CopyFrom(hidden_constant())

    for model in (constant, nested, sparse):
        with pytest.raises(ArtifactError, match="another file"):
            facts_of(model, tmp_path)


def test_a_tensor_shorter_than_its_shape_is_refused(tmp_path):
    model = network([conv()], {"w": (4, 3, 3, 3)})
    model.graph.initializer[0].raw_data = model.graph.initializer[0].raw_data[:-4]

    with pytest.raises(ArtifactError, match="shorter"):
        facts_of(model, tmp_path)


def test_index_notation_and_recurrent_layers_are_counted(tmp_path):
    einsum = helper.make_node("Einsum", ["image", "w"], ["output"], equation="bchw,oc->bohw")
    assert facts_of(network([einsum], {"w": (4, 3)}), tmp_path).macs == 8 * 8 * 3 * 4

    lstm = helper.make_node("LSTM", ["image", "w", "r"], ["output"], hidden_size=5)
    weights = {"w": (1, 20, 3), "r": (1, 20, 5)}
    assert facts_of(network([lstm], weights, shape=(7, 1, 3), output=(7, 1, 1, 5)), tmp_path).macs == 7 * 20 * 8


def test_what_it_computes_in_is_told_from_where_its_weights_come(tmp_path):
    def stored(values, name="q"):
        return numpy_helper.from_array(values, name)

    scale, zero = stored(np.float32(0.1), "s"), stored(np.int8(0), "z")
    unpack = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["w"])
    through = [
        helper.make_node("QuantizeLinear", ["image", "s", "z"], ["image_q"]),
        helper.make_node("DequantizeLinear", ["image_q", "s", "z"], ["image_w"]),
    ]
    cases = {
        "weight-only int8": ([unpack, conv()], [stored(np.zeros((4, 3, 3, 3), np.int8)), scale, zero]),
        "static int8": ([unpack, *through, conv("image_w")], [stored(np.zeros((4, 3, 3, 3), np.int8)), scale, zero]),
        "fp32": (
            [helper.make_node("Cast", ["q"], ["w"], to=TensorProto.FLOAT), conv()],
            [stored(np.zeros((4, 3, 3, 3), np.float16))],
        ),
        "fp16": (
            [
                helper.make_node("Cast", ["image"], ["half"], to=TensorProto.FLOAT16),
                conv("half", "q", "sums"),
                helper.make_node("Cast", ["sums"], ["output"], to=TensorProto.FLOAT),
            ],
            [stored(np.zeros((4, 3, 3, 3), np.float16))],
        ),
    }
    for precision, (nodes, tensors) in cases.items():
        model = network(nodes, {})
        model.graph.initializer.extend(tensors)
        facts = facts_of(model, tmp_path)
        assert (facts.precision, facts.params) == (precision, 108)
