"""The dashboard's entry: `streamlit run dashboard/app.py`; the controller is named by EDGEWATT_CONTROLLER_URL."""

import streamlit as st

from dashboard import actions, frame, style

PAGES = {
    "Fleet": {"fleet": "Overview", "device": "Device"},
    "Ship": {"deploy": "Deploy", "deployments": "Deployments", "rollouts": "Rollouts", "models": "Models"},
    "Understand": {"predictions": "Predictions"},
    "Watch": {"events": "Events"},
}
"""The groups of the navigation, and of each page its script and its name."""

st.set_page_config(page_title="EdgeWatt", page_icon=":material/bolt:", layout="wide")
st.logo(style.MARK, size="large")
style.apply()
page = st.navigation(
    {
        group: [
            st.Page(f"screens/{name}.py", title=title, url_path=name, default=name == "fleet")
            for name, title in pages.items()
        ]
        for group, pages in PAGES.items()
    },
    position="top",
)
frame.status_line()
page.run()
actions.settle()
