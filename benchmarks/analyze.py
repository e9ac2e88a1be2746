"""Reading a model file of 20 MB for its facts, beside what onnx does to load, check and infer shapes, in turns."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from controller.models.analyze import analyze
from controller.models.graph import Net, Tensor

ROUNDS = 7
BUDGET_S = 1.0
SIDE, CLASSES, WIDTH = 224, 1_000, 1.1


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mobilenet.onnx"
        path.write_bytes(network())
        size_mb = path.stat().st_size / 1e6
        analyze(path)
        rounds = [(timed(lambda: analyze(path)), timed(lambda: onnx_alone(path))) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(each[i] for each in rounds) for i in (0, 1))
    row = {
        "name": f"analyse an ONNX of {size_mb:.0f} MB",
        "value": round(ours, 4),
        "unit": "s",
        "reference": f"onnx load, check, infer {theirs:.3f} s",
        "ratio": round(ours / theirs, 3),
        "budget": BUDGET_S,
        "met": ours <= BUDGET_S,
    }
    print(json.dumps(row))


def network() -> bytes:
    """Return MobileNet v1 somewhat wider than usual, with random weights."""
    net = Net("mobilenet", seed=1)
    last = net.mobilenet_v1(Tensor(name="image", channels=3, side=SIDE), width=WIDTH)[-1]
    weight = net.draw("readout", (CLASSES, last.channels), last.channels)
    bias = net.keep("bias", np.zeros(CLASSES, np.float32))
    net.add("Gemm", [net.pool(last, cells=1), weight, bias], "output", transB=1)
    content: bytes = net.model((1, 3, SIDE, SIDE), (1, CLASSES)).SerializeToString()
    return content


def onnx_alone(path: Path) -> None:
    """Do what anybody would to look into a file."""
    model = onnx.load(path)
    onnx.checker.check_model(model)
    onnx.shape_inference.infer_shapes(model)


def timed(work: Callable[[], object]) -> float:
    """Return how long `work` takes, s."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
