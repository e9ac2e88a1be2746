"""Makes the shipped models, three readers of handwritten digits, from scikit-learn's data alone.

`python -m controller.models.digits [FOLDER]` writes them again. The convolutions are random features drawn from a seed;
only the readout is trained. The held-out quarter never takes part in training and gives the published accuracy.
"""

import argparse
import base64
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from controller.models.graph import Net, Tensor

SPLIT_SEED = 7
HELD_OUT = 0.25
LEVELS = 16.0
"""The digits' pixels are counts 0 … 16; models take 0 … 1."""

N_SAMPLES = 24
INPUT = (1, 1, 8, 8)
OUTPUT = (1, 10)

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A random MobileNet v1: input side, width, and block → cells of the feature maps that the readout sees.

    Seeds were chosen by cross-validation inside the training part.
    """

    name: str
    seed: int
    side: int
    width: float
    taps: dict[int, int]


SMALL = Recipe(name="digits_cnn_s", seed=1, side=128, width=0.375, taps={12: 2})
LARGE = Recipe(name="digits_cnn_l", seed=5, side=240, width=0.5, taps={4: 5, 12: 2})
MLP_NAME = "digits_mlp"
MLP_HIDDEN = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Digits:
    """1,797 images of 8 x 8 pixels as (n, 1, 8, 8) in 0 … 1, split once and for all."""

    train: Floats
    train_truth: Ints
    held_out: Floats
    held_out_truth: Ints

    @classmethod
    @cache
    def load(cls) -> Self:
        """Read scikit-learn's own copy and split it by the fixed seed, the same share of each digit in both parts."""
        images, truth = load_digits(return_X_y=True)
        images = (images.reshape(-1, 1, 8, 8) / LEVELS).astype(np.float32)
        parts = train_test_split(images, truth, test_size=HELD_OUT, random_state=SPLIT_SEED, stratify=truth)
        return cls(train=parts[0], held_out=parts[1], train_truth=parts[2], held_out_truth=parts[3])


def build_mlp() -> onnx.ModelProto:
    """Return the perceptron of 64, 16 and 10 units, all of it trained."""
    digits = Digits.load()
    trained = MLPClassifier((MLP_HIDDEN,), alpha=0.01, max_iter=2000, random_state=SPLIT_SEED)
    trained.fit(digits.train.reshape(-1, 64), digits.train_truth)
    net = Net(MLP_NAME, seed=0)
    net.add("Flatten", ["image"], "pixels")
    weights, biases = trained.coefs_, trained.intercepts_
    hidden = _dense(net, "hidden", "pixels", weights[0].T, biases[0])
    _dense(net, "scores", net.add("Relu", [hidden], "hidden_relu"), weights[1].T, biases[1])
    return _finish(net, "sklearn MLPClassifier on sklearn.datasets.load_digits")


def build_cnn(recipe: Recipe) -> onnx.ModelProto:
    """Return the random MobileNet of `recipe` with a readout trained by logistic regression on its features."""
    digits = Digits.load()
    net = random_features(recipe)
    weight, bias = _train_readout(net, digits)
    _dense(net, "scores", "features", weight, bias)
    return _finish(net, f"MobileNet v1 {recipe.width} at {recipe.side}, random convolutions, readout trained on digits")


def random_features(recipe: Recipe) -> Net:
    """Return the graph from `image` to `features`: fully determined by the recipe's seed."""
    net = Net(recipe.name, seed=recipe.seed, half=True)
    sizes = net.keep("side", np.array([1, 1, recipe.side, recipe.side], np.int64))
    enlarged = net.add("Resize", ["image", "", "", sizes], "enlarged", mode="linear")
    blocks = net.mobilenet_v1(Tensor(name=enlarged, channels=1, side=recipe.side), width=recipe.width)
    net.add("Concat", [net.pool(blocks[i], cells) for i, cells in recipe.taps.items()], "features", axis=1)
    return net


def run(model: onnx.ModelProto, images: Floats) -> Floats:
    """Return the output of `model` for each of `images`, one at a time, on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), sess_options=options, providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(None, {"image": image[None]})[0] for image in images])


def held_out_top1_pct(model: onnx.ModelProto) -> float:
    """Return the share of held-out digits that `model` reads right, in percent."""
    digits = Digits.load()
    return float((run(model, digits.held_out).argmax(1) == digits.held_out_truth).mean() * 100)


def main(arguments: list[str] | None = None) -> None:
    """Write the three models into a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m controller.models.digits", description="Rebuild the shipped models."
    )
    parser.add_argument("folder", nargs="?", type=Path, default=Path("artifacts/models"))
    folder = parser.parse_args(arguments).folder
    folder.mkdir(parents=True, exist_ok=True)
    for model in (build_mlp(), build_cnn(SMALL), build_cnn(LARGE)):
        path = folder / f"{model.graph.name}.onnx"
        path.write_bytes(model.SerializeToString())
        top1 = next(p.value for p in model.metadata_props if p.key == "edgewatt.top1_pct")
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB  held-out top-1 {top1} %")  # noqa: T201  # a command line


def _train_readout(net: Net, digits: Digits) -> tuple[Floats, Floats]:
    """Return weight (10, n) and bias (10,) for the raw features; their standardisation is folded in."""
    features = run(net.model(INPUT, (1, "features"), output="features"), digits.train).astype(np.float64)
    mean, spread = features.mean(0), features.std(0)
    spread[spread == 0] = np.inf
    trained = LogisticRegression(C=0.1, max_iter=500).fit((features - mean) / spread, digits.train_truth)
    weight = trained.coef_ / spread
    return weight, trained.intercept_ - weight @ mean


def _dense(net: Net, name: str, x: str, weight: NDArray[Any], bias: NDArray[Any]) -> str:
    inputs = [
        x,
        net.keep(f"{name}_weight", weight.astype(np.float32)),
        net.keep(f"{name}_bias", bias.astype(np.float32)),
    ]
    return net.add("Gemm", inputs, name, transB=1)


def _finish(net: Net, source: str) -> onnx.ModelProto:
    """Add the softmax, then everything that a device and the catalogue want to know, measured on the model itself."""
    net.add("Softmax", ["scores"], "output", axis=1)
    bare = net.model(INPUT, OUTPUT)
    metadata = {
        "edgewatt.trained": "true",
        "edgewatt.labels": [str(digit) for digit in range(10)],
        "edgewatt.samples": _samples(bare),
        "edgewatt.top1_pct": f"{held_out_top1_pct(bare):.2f}",
        "edgewatt.source": source,
    }
    return net.model(INPUT, OUTPUT, metadata)


def _samples(model: onnx.ModelProto) -> list[dict[str, object]]:
    """Return held-out digits with their truth and what the model answers, so that a device can prove itself."""
    digits = Digits.load()
    images = digits.held_out[:N_SAMPLES]
    answers = run(model, images)
    return [
        {
            "name": f"digit-{i:02}",
            "shape": INPUT,
            "dtype": "uint8",
            "scale": 1 / LEVELS,
            "offset": 0.0,
            "data": base64.b64encode((image * LEVELS).astype(np.uint8).tobytes()).decode(),
            "truth": int(truth),
            "expect": [round(float(p), 6) for p in answer],
        }
        for i, (image, truth, answer) in enumerate(zip(images, digits.held_out_truth, answers, strict=False))
    ]


if __name__ == "__main__":
    main()
