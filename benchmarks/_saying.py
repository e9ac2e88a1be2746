"""Prints one figure as a line of JSON, a row of the table."""

import json
import os


def say(name: str, value: float, unit: str, **more: object) -> None:
    """Print one row; floats with four digits after the point."""
    rounded = {key: round(each, 4) if isinstance(each, float) else each for key, each in more.items()}
    print(
        json.dumps({"name": name, "value": round(value, 4), "unit": unit, "cpus": os.cpu_count(), **rounded}),
        flush=True,
    )
