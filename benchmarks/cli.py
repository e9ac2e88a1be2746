"""How long the command line takes to answer `--help`, against an empty Python; the budget is 0.3 s."""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 15
BUDGET_S = 0.3


def median_s(*arguments: str) -> float:
    """Return the median time of a Python process with `arguments`."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    """Print the figure."""
    bare, helping = median_s("-c", ""), median_s("-m", "controller.cli", "--help")
    figure = {"name": "edgewatt --help", "value": round(helping, 3), "unit": "s", "reference": f"python {bare:.3f} s"}
    print(json.dumps(figure | {"ratio": round(helping / bare, 2), "budget": BUDGET_S, "met": helping <= BUDGET_S}))


if __name__ == "__main__":
    main()
