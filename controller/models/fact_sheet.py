"""Puts the facts of a model file into a document for REST and the command line."""

import json
from typing import Any

from controller.models.facts import ModelFacts

SHORT = 200
"""Longer texts of a file's metadata, labels and samples, are told by their length only."""


def fact_sheet(facts: ModelFacts) -> dict[str, Any]:
    """Return `facts` in the units and words of the catalogue's documents."""
    ends = facts.inputs | facts.outputs
    shapes = {name: {"shape": list(shape), "dtype": facts.dtypes.get(name)} for name, shape in ends.items()}
    return {
        "format": facts.format,
        "variant": facts.variant,
        "precision": facts.precision,
        "quantized": facts.quantized,
        "params": facts.params,
        "params_m": facts.params / 1e6,
        "gmacs": facts.macs / 1e9,
        "gflops": 2 * facts.macs / 1e9,
        "dw_gmacs": facts.depthwise_macs / 1e9,
        "macts_m": facts.activations / 1e6 or None,
        "n_convs": facts.convs,
        "input_res": facts.input_res or None,
        "size_mb": facts.size_mb,
        "opset": facts.opset,
        "ir_version": facts.ir_version,
        "inputs": {name: shapes[name] for name in facts.inputs},
        "outputs": {name: shapes[name] for name in facts.outputs},
        "operators": facts.operators,
        "notes": list(facts.notes),
        "metadata": {key: _brief(text) for key, text in facts.metadata.items()},
    }


def _brief(text: str) -> str:
    if len(text) <= SHORT:
        return text
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return f"{len(found):,} entries" if isinstance(found, list | dict) else f"{len(text):,} characters"
