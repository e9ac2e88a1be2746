"""Every test in this folder talks to real brokers."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    """Mark what lies here with `broker`."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.broker)
