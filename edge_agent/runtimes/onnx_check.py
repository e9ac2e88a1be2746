"""Runs a one-node model with onnxruntime and prints what it can do; `python -m edge_agent.runtimes.onnx_check`."""

import base64
import json
import sys
from typing import Any

# One Relu over float[1, 2], opset 13, IR 7: the oldest onnxruntime that boards have (1.10) reads it.
TINY_MODEL = base64.b64decode(
    "CAcSCGVkZ2V3YXR0OjsKDAoBeBIBeSIEUmVsdRIBY1oTCgF4Eg4KDAgBEggKAggBCgIIAmITCgF5Eg4KDAgBEggKAggBCgIIAkIECgAQDQ=="
)
IR_AT, IR = 1, TINY_MODEL[1]
OPSET_AT, OPSET = len(TINY_MODEL) - 1, TINY_MODEL[-1]
NEWEST = 100
"""Nobody will publish so high an opset or IR version while this is read; one byte holds it."""


def main(provider: str = "CPUExecutionProvider") -> None:
    """Print version, providers and the newest ONNX of an onnxruntime that runs on `provider`; die otherwise."""
    import numpy as np  # noqa: PLC0415 - what is missing has to show as our failure, not as an import's
    import onnxruntime  # noqa: PLC0415 - same

    onnxruntime.set_default_logger_severity(4)
    session = onnxruntime.InferenceSession(TINY_MODEL, providers=[provider])
    if session.get_providers()[0] != provider:
        raise SystemExit(f"{provider} is not used, onnxruntime falls back to {session.get_providers()[0]}")
    (answer,) = session.run(None, {"x": np.array([[-1.0, 2.0]], dtype="float32")})
    if answer.tolist() != [[0.0, 2.0]]:
        raise SystemExit(f"wrong answer {answer.tolist()}")
    print(  # noqa: T201 - the answer of this process
        json.dumps(
            {
                "version": onnxruntime.__version__,
                "providers": onnxruntime.get_available_providers(),
                "opset_max": _newest(onnxruntime, OPSET_AT, OPSET),
                "ir_max": _newest(onnxruntime, IR_AT, IR),
            }
        )
    )


def _newest(onnxruntime: Any, at: int, known: int) -> int:
    """Return the highest number at byte `at` of the small model with which it still loads."""
    for number in range(known + 1, NEWEST):
        model = bytearray(TINY_MODEL)
        model[at] = number
        try:
            onnxruntime.InferenceSession(bytes(model), providers=["CPUExecutionProvider"])
        except Exception:  # noqa: BLE001 - onnxruntime has a dozen unrelated classes for a model it does not take
            return number - 1
    return NEWEST


if __name__ == "__main__":
    main(*sys.argv[1:])
