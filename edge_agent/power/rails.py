"""Finds the rail that feeds the whole board among those a sensor names; pure."""

from collections.abc import Mapping

WHOLE_BOARD = ("POM_5V_IN", "VDD_IN", "5V_IN")
"""Names of a Jetson's input rail: JetPack 4, JetPack 5 and 6, older carrier boards."""


def board_rail(rails: Mapping[str, float]) -> str | None:
    """Return the rail of the whole board; None when there is none, or when a part of it draws more than the whole.

    Some carrier boards label their rails in the wrong order: a GPU that draws more than the input is the sign of it.
    """
    whole = next((name for name in WHOLE_BOARD if name in rails), None)
    if whole is None:
        return None
    parts = (mw for name, mw in rails.items() if name != whole)
    return None if any(mw > rails[whole] for mw in parts) else whole
