"""Fields that more than one page asks with."""

from streamlit.delta_generator import DeltaGenerator


def energy_budget(place: DeltaGenerator, label: str, help: str) -> float | None:  # noqa: A002 - streamlit's word
    """Draw the budget in `place` and return it in mJ per inference, None for none; it is kept in the URL."""
    return place.number_input(
        label,
        min_value=0.001,
        value=None,
        step=1.0,
        format="%.4g",
        key="energy_mj",
        bind="query-params",
        placeholder="no budget",
        help=help,
    )
