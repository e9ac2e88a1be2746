"""Runs the dashboard: `python -m dashboard`, with Streamlit's own flags after it."""

import sys
from pathlib import Path

from streamlit.web.cli import main

if __name__ == "__main__":
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("app.py")), *sys.argv[1:]]
    main()
