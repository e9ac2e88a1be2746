"""Runs a one-node model with onnxruntime and prints its version; `python -m edge_agent.runtimes.onnx_check`."""

import base64

# One Relu over float[1, 2], opset 13, IR 7: the oldest onnxruntime that boards have (1.10) reads it.
TINY_MODEL = base64.b64decode(
    "CAcSCGVkZ2V3YXR0OjsKDAoBeBIBeSIEUmVsdRIBY1oTCgF4Eg4KDAgBEggKAggBCgIIAmITCgF5Eg4KDAgBEggKAggBCgIIAkIECgAQDQ=="
)


def main() -> None:
    """Print the version of an onnxruntime that runs; die otherwise."""
    import numpy as np  # noqa: PLC0415 - what is missing has to show as our failure, not as an import's
    import onnxruntime  # noqa: PLC0415 - same

    session = onnxruntime.InferenceSession(TINY_MODEL, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"x": np.array([[-1.0, 2.0]], dtype="float32")})
    if answer.tolist() != [[0.0, 2.0]]:
        raise SystemExit(f"wrong answer {answer.tolist()}")
    print(onnxruntime.__version__)  # noqa: T201 - the answer of this process


if __name__ == "__main__":
    main()
