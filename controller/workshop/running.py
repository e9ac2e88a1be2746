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

FATAL_ONLY = 4


def load(path: Path, form: Format, *, plain: bool = False) -> Run:
    """Return what runs the file at `path`, `plain` by other kernels than usual: as another processor might.

    Raises ArtifactError (`unsupported_operator`, `conversion_failed`).
    """
    load_it, runtime = (_onnx, "onnxruntime") if form == "onnx" else (_tflite, "LiteRT")
    try:
        inner = load_it(path, plain)
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


def _onnx(path: Path, plain: bool) -> Run:
    import onnxruntime  # noqa: PLC0415  # only what the format needs

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = FATAL_ONLY
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0].name
    return lambda image: np.asarray(session.run(None, {first: image})[0])


def _tflite(path: Path, plain: bool) -> Run:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType  # noqa: PLC0415  # only what the format needs

    kernels = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if plain else OpResolverType.AUTO
    interpreter: Any = Interpreter(model_path=str(path), num_threads=1, experimental_op_resolver_type=kernels)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]

    def run(image: Floats) -> Floats:
        interpreter.set_tensor(taken, image)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(given))

    return run
