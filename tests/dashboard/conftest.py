"""A fake controller, and the dashboard's pages run against it."""

import functools
import html
import re
from pathlib import Path

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest, app_test

import dashboard
from dashboard import api
from tests.dashboard.fake_controller import FakeController

APP = Path(dashboard.__file__).with_name("app.py")

# Each new AppTest reads the metadata of all packages, and each run compiles the page: once is enough, neither changes.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)
app_test.ScriptCache = functools.cache(app_test.ScriptCache)


class Page:
    """One page of the dashboard: what it shows as text, and its widgets by key."""

    def __init__(self, name, **query):
        self.at = AppTest.from_file(str(APP), default_timeout=30)
        if name != "fleet":  # the first run makes the pages known
            self.run()
            self.at.switch_page(f"screens/{name}.py")
            self.at.query_params.clear()
        self.at.query_params.update(query)
        self.run()

    def run(self):
        self.at.run()
        assert not self.at.exception, [each.value for each in self.at.exception]
        return self

    @property
    def markup(self):
        return "\n".join(each.value for each in self.at.html)

    @property
    def text(self):
        bodies = [each.value for kind in (self.at.html, self.at.markdown, self.at.code) for each in kind]
        return html.unescape(re.sub(r"<[^>]+>", " ", "\n".join(bodies)))

    def has(self, kind, key):
        return any(each.key == key for each in getattr(self.at, kind))

    def click(self, key):
        self.at.button(key=key).click()
        return self.run()

    def anew(self):
        """Run again with nothing remembered from the run before."""
        api.forget_answers()
        return self.run()


@pytest.fixture
def serve(monkeypatch):
    """Start fake controllers that the dashboard then asks; returns a function of the number of devices."""
    running = []

    def start(count=5, **options):
        fake = FakeController(count, **options).__enter__()
        running.append(fake)
        monkeypatch.setenv("EDGEWATT_CONTROLLER_URL", fake.url)
        return fake

    yield start
    api.client().close()
    st.cache_data.clear()
    st.cache_resource.clear()
    for fake in running:
        fake.__exit__()


@pytest.fixture
def fake(serve):
    """A controller with the five devices of the demo."""
    return serve()
