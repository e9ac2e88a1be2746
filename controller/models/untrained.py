"""Makes MobileNet v1 at full size with random weights: real work for a board, answers that mean nothing."""

import numpy as np

NAME = "mobilenet_v1_untrained"
SIDE = 224
CLASSES = 1000
SEED = 20


def build() -> bytes:
    """Return the ONNX file: 569 million multiply-adds, 4.2 million parameters, 17 MB, marked as untrained."""
    from controller.models.graph import Net, Tensor  # noqa: PLC0415 - onnx, which no start waits for

    net = Net(NAME, seed=SEED)
    last = net.mobilenet_v1(Tensor(name="image", channels=3, side=SIDE), width=1.0)[-1]
    features = net.pool(last, cells=1)
    weight = net.draw("readout_weight", (CLASSES, last.channels), last.channels)
    bias = net.keep("readout_bias", np.zeros(CLASSES, np.float32))
    net.add("Gemm", [features, weight, bias], "scores", transB=1)
    net.add("Softmax", ["scores"], "output", axis=1)
    metadata = {
        "edgewatt.trained": "false",
        "edgewatt.source": f"MobileNet v1 1.0 {SIDE} (Howard et al. 2017), random weights from seed {SEED}",
    }
    model: bytes = net.model((1, 3, SIDE, SIDE), (1, CLASSES), metadata).SerializeToString()
    return model
