"""Loads a TFLite file and runs it once, so that a damaged or hostile one ends this process and not the agent.

`python -m edge_agent.runtimes.tflite_trial NAME MODULE FILE THREADS`; exits with `REFUSED` and a JSON object that says
why, or as the file makes it.
"""

import contextlib
import json
import sys
from pathlib import Path

from broker.errors import ArtifactError
from edge_agent.runtimes.checked import first_line
from edge_agent.runtimes.tflite import REFUSED, TfliteRuntime

FIRST_TO_GO = "1000"
"""The kernel's out-of-memory killer takes this process before any other."""


def main(name: str, module: str, path: str, threads: str) -> int:
    """Return 0 when the model runs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(FIRST_TO_GO, encoding="ascii")
    import numpy as np  # noqa: PLC0415 - after the process has put itself first

    try:
        engine = TfliteRuntime(name=name, module=module, threads=int(threads)).opened(Path(path))
        engine.run({port.key: np.zeros(port.shape, port.dtype) for port in engine.inputs})
    except ArtifactError as error:
        refusal = {"message": error.message, "code": error.code, "hint": error.hint}
    except (ValueError, RuntimeError) as error:
        refusal = {"message": f"the model fails on its input: {first_line(error)}", "code": "load_failed"}
    else:
        return 0
    print(json.dumps(refusal))  # noqa: T201 - the answer of this process
    return REFUSED


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
