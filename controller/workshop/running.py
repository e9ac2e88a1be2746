"""Runs a finished file as a device will: by onnxruntime or LiteRT, on one thread."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from controller.models.manifest import Format
from controller.workshop.failures import refused
from controller.workshop.network import Floats

Run = Callable[[Floats], Floats]
"""Takes one image, returns the answer flat; raises ArtifactError when the runtime refuses."""


def load(path: Path, form: Format) -> Run:
    """Return what runs the file at `path`; raises ArtifactError (`unsupported_operator`, `conversion_failed`)."""
    load_it, runtime = (_onnx, "onnxruntime") if form == "onnx" else (_tflite, "LiteRT")
    try:
        inner = load_it(path)
    except Exception as error:  # each runtime raises a dozen unrelated classes
        raise refused(runtime, error) from error

    def run(image: Floats) -> Floats:
        try:
            return inner(image).reshape(-1)
        except Exception as error:  # same
            raise refused(runtime, error) from error

    return run


def runtime_version(form: Format) -> dict[str, str]:
    """Return the runtime that `load` uses for `form`, with its version."""
    package = "onnxruntime" if form == "onnx" else "ai-edge-litert"
    return {package: version(package)}


def _onnx(path: Path) -> Run:
    import onnxruntime  # noqa: PLC0415  # only what the format needs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run(None, {first: image})[0])


def _tflite(path: Path) -> Run:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415  # only what the format needs

    interpreter: Any = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(image: Floats) -> Floats:
        interpreter.set_tensor(taken, image)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(given))

    return run
