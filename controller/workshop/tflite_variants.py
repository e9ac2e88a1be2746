"""Halves or quantises a TFLite file by ai-edge-quantizer: half-precision weights, or integers throughout."""

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ai_edge_quantizer import recipe_manager
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.qtyping import TFLOperationName
from ai_edge_quantizer.quantizer import Quantizer

from controller.models.manifest import Variant
from controller.workshop.failures import refused
from controller.workshop.network import INPUT, Floats

SIGNATURE = "serving_default"
HALF_BITS, INTEGER_BITS = 16, 8


def write_variant(source: Path, path: Path, variant: Variant, calibration: Sequence[Floats]) -> dict[str, str]:
    """Write the fp32 file `source` at `path` in `variant`, int8 by what it does on `calibration`; return the tool.

    fp16 are weights in half precision, which are computed in fp32; int8 are integers throughout. Integer weights that
    are scaled while it runs are not made: tflite-runtime 2.14 reads such files and answers wrongly.
    Raises ArtifactError (`unsupported_operator`, `conversion_failed`).
    """
    try:
        quantizer = Quantizer(str(source), _recipe(variant))
        measured = (
            quantizer.calibrate({SIGNATURE: [{INPUT: image} for image in calibration]}) if variant == "int8" else None
        )
        quantizer.quantize(measured, enable_progress_bar=False, enable_progress_report=False).export_model(path)
    except Exception as error:  # same
        raise refused("ai-edge-quantizer", error, hint="keep fp32") from error
    return {"ai-edge-quantizer": version("ai-edge-quantizer")}


def _recipe(variant: Variant) -> Any:
    recipe = recipe_manager.RecipeManager()
    if variant == "fp16":
        recipe.add_weight_only_config(
            ".*", TFLOperationName.ALL_SUPPORTED, HALF_BITS, algorithm_key=AlgorithmName.FLOAT_CASTING
        )
    else:
        recipe.add_static_config(".*", TFLOperationName.ALL_SUPPORTED, INTEGER_BITS, INTEGER_BITS)
        for kept in (TFLOperationName.INPUT, TFLOperationName.OUTPUT, TFLOperationName.SOFTMAX):
            recipe.add_quantization_config(".*", kept, algorithm_key=AlgorithmName.NO_QUANTIZE)
    return recipe.get_quantization_recipe()
