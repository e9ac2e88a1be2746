"""Builds small TFLite files for tests, by the schema's own object interface."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DTYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.float16): schema.TensorType.FLOAT16,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


class Net:
    """A TFLite graph under construction; tensors are numbers."""

    def __init__(self):
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.buffers, self.codes = [schema.BufferT()], []

    def tensor(self, name, shape, dtype=np.float32, values=None, signature=None):
        """Add a tensor, stored when it has `values`."""
        each = schema.TensorT()
        each.name, each.shape, each.type = name, list(shape), DTYPES[np.dtype(dtype)]
        each.shapeSignature = signature
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(values, dtype).tobytes(), np.uint8)
            each.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.graph.tensors.append(each)
        return len(self.graph.tensors) - 1

    def weights(self, name, shape, dtype=np.float32):
        return self.tensor(name, shape, dtype, np.ones(shape))

    def operator(self, kind, inputs, outputs, options=None, custom=None):
        """Add an operator; `options` is a pair of the schema's number and object."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode = custom
        self.codes.append(code)
        each = schema.OperatorT()
        each.opcodeIndex, each.inputs, each.outputs = len(self.codes) - 1, list(inputs), list(outputs)
        if options:
            each.builtinOptionsType, each.builtinOptions = options
        self.graph.operators.append(each)
        return outputs[0]

    def file(self, inputs, outputs, graphs=1):
        """Return the bytes of the file; its graph comes `graphs` times."""
        self.graph.inputs, self.graph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version, model.operatorCodes, model.buffers = 3, self.codes, self.buffers
        model.subgraphs = [self.graph] * graphs
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def tiny_tflite(*, stored=np.float32, between=np.float32):
    """Return a 3 x 3 convolution of 8 x 8 pixels and a dense layer behind it."""
    net = Net()
    image = net.tensor("image", (1, 8, 8, 3), between)
    kernel = net.weights("kernel", (4, 3, 3, 3), stored)
    bias = net.weights("bias", (4,), np.int32 if between is np.int8 else np.float32)
    features = net.operator("CONV_2D", [image, kernel, bias], [net.tensor("features", (1, 8, 8, 4), between)])
    dense = net.weights("dense", (10, 256), stored)
    scores = net.operator("FULLY_CONNECTED", [features, dense, -1], [net.tensor("scores", (1, 10), between)])
    return net.file([image], [scores])
