"""Loads what the other pages draw with while somebody looks at the first: most of the time that they took at first."""

import importlib
import threading
from functools import cache

LATER = ("pandas", "altair")


@cache
def begin() -> threading.Thread:
    """Load it beside the page that is there already, once in the life of the dashboard."""
    loading = threading.Thread(target=_load, name="warming", daemon=True)
    loading.start()
    return loading


def _load() -> None:
    for name in LATER:
        importlib.import_module(name)
