"""The dashboard's entry: `streamlit run dashboard/app.py`; the controller is named by EDGEWATT_CONTROLLER_URL."""

import streamlit as st

from dashboard import actions, api, frame, signing_in, style, warming

# The groups of the navigation, and of each page its script and its name.
PAGES = {
    "Fleet": {"fleet": "Overview", "device": "Device"},
    "Ship": {"deploy": "Deploy", "deployments": "Deployments", "rollouts": "Rollouts", "models": "Models"},
    "Understand": {"predictions": "Predictions"},
    "Watch": {"alerts": "Alerts", "events": "Events", "balena": "Balena"},
}

ON_DEMAND = frozenset({"balena"})
"""Pages that are in the navigation when the controller's status says that it is configured for them."""

st.set_page_config(page_title="EdgeWatt", page_icon=":material/bolt:", layout="wide")
st.logo(style.MARK, size="large")
style.apply()
entered = signing_in.admitted()
status = api.read("status") if entered else api.Reading()
hidden = {name for name in ON_DEMAND if not (status.get(name) or {}).get("configured")}
page = st.navigation(
    {
        group: [
            st.Page(
                f"screens/{name}.py",
                title=title,
                url_path=name,
                default=name == "fleet",
                visibility="hidden" if name in hidden else "visible",
            )
            for name, title in pages.items()
        ]
        for group, pages in PAGES.items()
    },
    position="top" if entered else "hidden",
)
if entered:
    frame.status_line()
    signing_in.way_out()
    page.run()
    actions.settle()
    warming.begin()
