"""The dashboard's entry: `streamlit run dashboard/app.py`; the controller is named by EDGEWATT_CONTROLLER_URL."""

import streamlit as st

from dashboard import actions, frame, style

PAGES = (
    ("fleet", "Fleet"),
    ("device", "Device"),
    ("deploy", "Deploy"),
    ("deployments", "Deployments"),
    ("rollouts", "Rollouts"),
    ("models", "Models"),
    ("predictions", "Predictions"),
    ("events", "Events"),
)

st.set_page_config(page_title="EdgeWatt", page_icon=":material/bolt:", layout="wide")
st.logo(style.MARK, size="large")
style.apply()
page = st.navigation(
    [st.Page(f"screens/{name}.py", title=title, url_path=name, default=name == "fleet") for name, title in PAGES],
    position="top",
)
frame.status_line()
page.run()
actions.settle()
