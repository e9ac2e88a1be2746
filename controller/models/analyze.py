"""Reads a model file without running it: what it is, what it computes, whether it is sound."""

from pathlib import Path

from controller.models.facts import ModelFacts
from controller.models.recognise import recognise

__all__ = ["ModelFacts", "analyze"]


def analyze(path: Path) -> ModelFacts:
    """Return the facts of the ONNX or TFLite file at `path`, told apart by content; a free batch is taken as 1.

    Raises ArtifactError for a file that is missing, empty, too large, truncated, something else, split into external
    data, or whose shapes are absurd or cannot be told.
    """
    if recognise(path) == "tflite":
        from controller.models import tflite_file  # noqa: PLC0415 - each reader brings its own packages

        return tflite_file.read(path)
    from controller.models import onnx_file  # noqa: PLC0415

    return onnx_file.read(path)
