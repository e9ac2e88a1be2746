"""What the workshop decides without PyTorch: is it the same network, which operator was missing, what is asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import ArtifactError, InvalidError
from controller.models.manifest import Golden
from controller.workshop.failures import operator_in, refused
from controller.workshop.golden import FEWEST_AGREEING, compare, judge
from controller.workshop.request import read_request


def golden(**known):
    return Golden(**{"against": "it", "inputs": 60, "max_abs": 0.0, "cosine": 1.0, "top1_agreement": 1.0, **known})


def test_equal_answers_are_equal():
    answers = [np.array([0.1, 0.7, 0.2], np.float32)] * 3

    found = compare(answers, answers, against="it")

    assert (found.inputs, found.max_abs, found.top1_agreement) == (3, 0.0, 1.0)
    assert found.cosine == pytest.approx(1)


def test_the_worst_input_counts_and_a_common_height_does_not_hide_a_difference():
    ours = [np.array([0.30, 0.34, 0.36]), np.array([0.2, 0.3, 0.5])]
    theirs = [np.array([0.36, 0.34, 0.30]), np.array([0.2, 0.3, 0.5])]

    found = compare(ours, theirs, against="it")

    assert found.max_abs == pytest.approx(0.06)
    assert found.cosine == pytest.approx(-0.93, abs=0.01)
    assert found.top1_agreement == 0.5


@pytest.mark.parametrize(
    ("variant", "known", "trained"),
    [
        ("fp32", {"max_abs": 0.01}, True),
        ("fp16", {"max_abs": 0.2}, True),
        ("int8", {"top1_agreement": FEWEST_AGREEING - 0.01}, True),
        ("int8", {"max_abs": float("nan")}, False),
        ("fp16", {"cosine": float("nan")}, False),
    ],
)
def test_another_network_is_refused_with_the_figure(variant, known, trained):
    with pytest.raises(ArtifactError) as caught:
        judge(golden(**known), variant, strongest=1.0, trained=trained, name="m")

    assert caught.value.code == "golden_mismatch"
    assert "m is not what it was made from" in caught.value.message


@pytest.mark.parametrize(
    ("variant", "known", "trained"),
    [
        ("fp32", {"max_abs": 1e-5}, True),
        ("fp16", {"max_abs": 0.01}, True),
        ("int8", {"top1_agreement": FEWEST_AGREEING, "max_abs": 0.4}, True),
        ("int8", {"top1_agreement": 0.0}, False),
    ],
)
def test_the_same_network_passes(variant, known, trained):
    judge(golden(**known), variant, strongest=1.0, trained=trained, name="m")


@pytest.mark.parametrize(
    ("said", "operator"),
    [
        (
            "Exporting the operator 'aten::grid_sampler' to ONNX opset version 15 is not supported. Please",
            "grid_sampler",
        ),
        (
            "Converter is not implemented (OperationDescription(domain='', operation_type='NonZero', version=13))",
            "NonZero",
        ),
        ("RuntimeError: Node number 17 (BATCH_MATMUL) failed to prepare.", "BATCH_MATMUL"),
        ("error: failed to legalize operation 'tfl.custom' that was explicitly marked illegal", "custom"),
        (
            "9 : NOT_IMPLEMENTED : Could not find an implementation for QLinearAdd(14) node",
            "QLinearAdd",
        ),
        ("Lowering not found: aten.fft_rfft2.default", "aten.fft_rfft2.default"),
        ("list index out of range", None),
    ],
)
def test_the_operator_is_found_in_what_a_converter_raises(said, operator):
    assert operator_in(said) == operator


def test_a_failure_names_converter_and_operator_or_the_first_line():
    named = refused("litert-torch", RuntimeError("Lowering not found: aten.angle.default"))
    plain = refused("litert-torch", RuntimeError("\nsomething\nbroke"))
    silent = refused("litert-torch", ValueError())

    assert (named.code, named.message) == ("unsupported_operator", "litert-torch has no aten.angle.default")
    assert (plain.code, plain.message) == ("conversion_failed", "litert-torch gave up: something")
    assert silent.message == "litert-torch gave up: ValueError"


@given(said=st.text())
def test_whatever_a_converter_raises_becomes_one_line(said):
    error = refused("it", RuntimeError(said))

    assert error.code in {"unsupported_operator", "conversion_failed"}
    assert "\n" not in error.message


@pytest.mark.parametrize(
    ("model", "variant", "name"),
    [
        ("resnet18", "fp32", "resnet18"),
        ("resnet18", "int8", "resnet18-int8"),
        ("resnet18-int8", "int8", "resnet18-int8"),
    ],
)
def test_a_file_is_called_after_its_variant_once(tmp_path, model, variant, name):
    path = tmp_path / "r.json"
    path.write_text(f'{{"model": "{model}", "variant": "{variant}", "source": {{"kind": "timm"}}, "out": "o"}}')

    assert read_request(path).name == name


@given(content=st.binary())
def test_any_bytes_are_a_request_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("r") / "r.json"
    path.write_bytes(content)

    with pytest.raises(InvalidError):
        read_request(path)


def test_a_request_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidError, match="cannot read"):
        read_request(tmp_path / "none.json")
