"""Runs a one-operator model with a TFLite package and prints its version.

`python -m edge_agent.runtimes.tflite_check ai_edge_litert` (or `tflite_runtime`).
"""

import base64
import importlib
import sys
from importlib.metadata import PackageNotFoundError, version

# One RELU over float[1, 2] of version 1, which every TFLite since 2017 reads.
TINY_MODEL = base64.b64decode(
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAAA0AAAAEAAAAAMAAAABAAAA6AAAAAEAAAAQAAAADAAMAAsAAAAAAAQADAAA"
    "ABMAAAAAAAATAQAAABAAAAAMABQAEAAMAAgABAAMAAAAEAAAABQAAAAYAAAAHAAAAAEAAAAsAAAAAQAAAAEAAAABAAAAAAAAAAIA"
    "AABcAAAALAAAAAAACgAMAAAACAAEAAoAAAAIAAAADAAAAAEAAAABAAAAAQAAAAAAAADg////FAAAAAQAAAACAAAAAQAAAAIAAAAB"
    "AAAAeQAAAAwADAAIAAAAAAAEAAwAAAAUAAAABAAAAAIAAAABAAAAAgAAAAEAAAB4AAAABAAEAAQAAAA="
)


def main(module: str) -> None:
    """Print the version of a package that runs; die otherwise."""
    np = importlib.import_module("numpy")  # what is missing has to show as our failure, not as an import's
    interpreter = importlib.import_module(f"{module}.interpreter").Interpreter(model_content=TINY_MODEL, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.array([[-1.0, 2.0]], dtype="float32"))
    interpreter.invoke()
    answer = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    if answer.tolist() != [[0.0, 2.0]]:
        raise SystemExit(f"wrong answer {answer.tolist()}")
    print(_version(module))  # noqa: T201 - the answer of this process


def _version(module: str) -> str:
    """Return the package's version; Debian's builds have it in the module only."""
    try:
        return version(module.replace("_", "-"))
    except PackageNotFoundError:
        return str(getattr(importlib.import_module(module), "__version__", "unknown"))


if __name__ == "__main__":
    main(sys.argv[1])
