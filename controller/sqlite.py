"""Gives sqlite-utils without pandas, which it would load where it is installed: 0.4 s and 59 MB at each start.

It needs pandas only to guess the types of a data frame's columns, which nobody here stores.
"""

import sys
from typing import Any

_modules: dict[str, Any] = sys.modules
_hidden = "pandas" not in _modules
if _hidden:
    _modules["pandas"] = None
try:
    from sqlite_utils import Database, Migrations
finally:
    if _hidden:
        del _modules["pandas"]

__all__ = ["Database", "Migrations"]
