"""Builds small TFLite models for tests, with the metadata that ours carry."""

import base64
import json
from dataclasses import dataclass

import flatbuffers
import numpy as np
import tflite

from broker.metadata import append

FEATURES, CLASSES = 4, 3
_TYPES = {"float32": "FLOAT32", "float16": "FLOAT16", "int8": "INT8", "uint8": "UINT8", "int32": "INT32"}


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """One tensor; `data` makes it a constant, `scales` make it quantised, `signature` has -1 where a size is free."""

    name: str
    shape: tuple
    kind: str = "float32"
    data: np.ndarray | None = None
    scales: tuple = ()
    zero_points: tuple = (0,)
    signature: tuple = ()


@dataclass(frozen=True, kw_only=True)
class Op:
    """One operator by the name it has in `tflite.BuiltinOperator`, and the numbers of its tensors."""

    kind: str
    inputs: tuple
    outputs: tuple


def built(tensors, ops, inputs, outputs):
    """Return the bytes of a model of one subgraph."""
    b = flatbuffers.Builder(1024)
    constants = [t for t in tensors if t.data is not None]
    buffers = [_buffer(b, None), *(_buffer(b, t.data) for t in constants)]
    numbers = {id(t): i + 1 for i, t in enumerate(constants)}
    packed = [_tensor(b, t, numbers.get(id(t), 0)) for t in tensors]
    kinds = sorted({op.kind for op in ops})
    operators = [_operator(b, op, kinds.index(op.kind)) for op in ops]
    lists = [
        _offsets(b, tflite.SubGraphStartTensorsVector, packed),
        _ints(b, tflite.SubGraphStartInputsVector, inputs),
        _ints(b, tflite.SubGraphStartOutputsVector, outputs),
        _offsets(b, tflite.SubGraphStartOperatorsVector, operators),
    ]
    tflite.SubGraphStart(b)
    for add, offset in zip(
        (
            tflite.SubGraphAddTensors,
            tflite.SubGraphAddInputs,
            tflite.SubGraphAddOutputs,
            tflite.SubGraphAddOperators,
        ),
        lists,
        strict=True,
    ):
        add(b, offset)
    subgraphs = _offsets(b, tflite.ModelStartSubgraphsVector, [tflite.SubGraphEnd(b)])
    codes = _offsets(b, tflite.ModelStartOperatorCodesVector, [_code(b, kind) for kind in kinds])
    stored = _offsets(b, tflite.ModelStartBuffersVector, buffers)
    tflite.ModelStart(b)
    tflite.ModelAddVersion(b, 3)
    tflite.ModelAddOperatorCodes(b, codes)
    tflite.ModelAddSubgraphs(b, subgraphs)
    tflite.ModelAddBuffers(b, stored)
    b.Finish(tflite.ModelEnd(b), b"TFL3")
    return bytes(b.Output())


def linear(*, seed=0, kind="float32", scales=(0.05,), zero_points=(3,), weights=None, signature=()):
    """Return x[1, 4] times weights[4, 3]: the bytes, and the weights as floats; int8 `kind` quantises in and out."""
    w = np.random.default_rng(seed).normal(size=(CLASSES, FEATURES)).astype(np.float32)
    scale = float(np.abs(w).max()) / 127
    held = Tensor(name="w", shape=w.shape, data=w)
    if kind == "int8":
        held = Tensor(name="w", shape=w.shape, kind="int8", data=np.round(w / scale).astype(np.int8), scales=(scale,))
    held = weights(w) if weights else held
    quantised = {"kind": kind, "scales": scales, "zero_points": zero_points} if kind != "float32" else {}
    tensors = [
        Tensor(name="x", shape=(1, FEATURES), signature=signature, **quantised),
        held,
        Tensor(name="y", shape=(1, CLASSES), signature=signature and (-1, CLASSES), **quantised),
    ]
    return built(tensors, [Op(kind="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,))], (0,), (2,)), w.T


def dynamic_int8(w):
    """Return weights as dynamic quantisation leaves them: int8, one scale per output, under a float input."""
    scales = np.abs(w).max(axis=1) / 127
    data = np.round(w / scales[:, None]).astype(np.int8)
    return Tensor(
        name="w", shape=w.shape, kind="int8", data=data, scales=tuple(map(float, scales)), zero_points=(0,) * len(w)
    )


def saved(path, data, texts=None):
    """Write a model with what it says about itself, and return its path."""
    path.write_bytes(data)
    if texts:
        append(path, texts)
    return path


def tiny_texts(weights, *, model="tiny", wrong_golden=False, golden=True):
    """Return the metadata of `linear`: two samples with their answers, of which the first is labelled."""
    rows = np.array([[1, 2, 3, 4], [9, 7, 5, 3]], dtype=np.uint8)
    outputs = rows.astype(np.float32) * np.float32(0.1) @ weights
    samples = [
        {
            "name": f"s{i}",
            "shape": [1, FEATURES],
            "dtype": "uint8",
            "scale": 0.1,
            "offset": 0.0,
            "data": base64.b64encode(row.tobytes()).decode(),
            "truth": "abc"[int(out.argmax())] if i == 0 else None,
            "expect": [float(v) + (5.0 if wrong_golden else 0.0) for v in out] if golden else None,
        }
        for i, (row, out) in enumerate(zip(rows, outputs, strict=True))
    ]
    return {
        "edgewatt.model": model,
        "edgewatt.trained": "true",
        "edgewatt.labels": json.dumps(["a", "b", "c"]),
        "edgewatt.samples": json.dumps(samples),
    }


def _buffer(b, data):
    where = None if data is None else b.CreateByteVector(np.ascontiguousarray(data).tobytes())
    tflite.BufferStart(b)
    if where is not None:
        tflite.BufferAddData(b, where)
    return tflite.BufferEnd(b)


def _tensor(b, tensor, buffer):
    name = b.CreateString(tensor.name)
    shape = _ints(b, tflite.TensorStartShapeVector, tensor.shape)
    signature = _ints(b, tflite.TensorStartShapeSignatureVector, tensor.signature) if tensor.signature else None
    quantised = _quantised(b, tensor) if tensor.scales else None
    tflite.TensorStart(b)
    tflite.TensorAddShape(b, shape)
    tflite.TensorAddType(b, getattr(tflite.TensorType, _TYPES[tensor.kind]))
    tflite.TensorAddBuffer(b, buffer)
    tflite.TensorAddName(b, name)
    if quantised is not None:
        tflite.TensorAddQuantization(b, quantised)
    if signature is not None:
        tflite.TensorAddShapeSignature(b, signature)
    return tflite.TensorEnd(b)


def _quantised(b, tensor):
    tflite.QuantizationParametersStartScaleVector(b, len(tensor.scales))
    for scale in reversed(tensor.scales):
        b.PrependFloat32(scale)
    scales = b.EndVector()
    tflite.QuantizationParametersStartZeroPointVector(b, len(tensor.zero_points))
    for zero in reversed(tensor.zero_points):
        b.PrependInt64(zero)
    zeros = b.EndVector()
    tflite.QuantizationParametersStart(b)
    tflite.QuantizationParametersAddScale(b, scales)
    tflite.QuantizationParametersAddZeroPoint(b, zeros)
    return tflite.QuantizationParametersEnd(b)


def _operator(b, op, code):
    inputs = _ints(b, tflite.OperatorStartInputsVector, op.inputs)
    outputs = _ints(b, tflite.OperatorStartOutputsVector, op.outputs)
    options = _options(b, op.kind)
    tflite.OperatorStart(b)
    tflite.OperatorAddOpcodeIndex(b, code)
    tflite.OperatorAddInputs(b, inputs)
    tflite.OperatorAddOutputs(b, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(b, options[0])
        tflite.OperatorAddBuiltinOptions(b, options[1])
    return tflite.OperatorEnd(b)


def _options(b, kind):
    """Return the default options of an operator that must have some."""
    if kind == "FULLY_CONNECTED":
        tflite.FullyConnectedOptionsStart(b)
        return tflite.BuiltinOptions.FullyConnectedOptions, tflite.FullyConnectedOptionsEnd(b)
    if kind == "ADD":
        tflite.AddOptionsStart(b)
        return tflite.BuiltinOptions.AddOptions, tflite.AddOptionsEnd(b)
    return None


def _code(b, kind):
    number = getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(b)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
    tflite.OperatorCodeAddBuiltinCode(b, number)
    tflite.OperatorCodeAddVersion(b, 1)
    return tflite.OperatorCodeEnd(b)


def _ints(b, start, values):
    start(b, len(values))
    for value in reversed(values):
        b.PrependInt32(value)
    return b.EndVector()


def _offsets(b, start, values):
    start(b, len(values))
    for value in reversed(values):
        b.PrependUOffsetTRelative(value)
    return b.EndVector()
