"""The look, in one place: colours that hold in light and dark, and the CSS of our own HTML."""

from pathlib import Path

import streamlit as st

SHEET = Path(__file__).with_name("style.css")

SERIES = {
    "p50": "#5b86ee",
    "p95": "#d9730d",
    "peak": "#74829a",
    "energy": "#109d6b",
    "heat": "#d9730d",
    "cpu": "#5b86ee",
    "ram": "#9b52b5",
    "disk": "#9b52b5",
    "soc": "#109d6b",
}
"""Chart colours that keep 3:1 contrast on both backgrounds and differ for colour-blind eyes; a test holds both."""

BUDGET = "#c2410c"
PREDICTED = "#74829a"
THROTTLED = "#c98a12"
CHARGING = "#5b86ee"

MARK = """<svg xmlns="http://www.w3.org/2000/svg" width="152" height="32" viewBox="0 0 152 32">
<rect x="1" y="4" width="24" height="24" rx="7" fill="#2b5fd9"/>
<path d="M14.6 7.5 8.2 17.2h4.6l-1.4 7.3 6.6-9.9h-4.7z" fill="#fff"/>
<text x="34" y="22.5" font-family="Source Sans, Source Sans Pro, system-ui, sans-serif" font-size="19" font-weight="650"
 fill="#5b86ee">EdgeWatt</text></svg>"""


def apply() -> None:
    """Put the style sheet on the page."""
    st.html(SHEET)
