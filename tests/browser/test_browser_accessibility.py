"""On any page, light and dark, with long names and empty: axe-core finds nothing serious, a phone is wide enough."""

import pytest

from tests.browser.conftest import ROOT, dashboard_of, drawn, fake_controller, fits_on_a_phone

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
GRAVE = {"serious", "critical"}
LONG = ("a-very-long-name-" * 12)[:200]
ASKED = {
    "device": f"?id={LONG}",
    "deploy": f"?model=digits_cnn_l&to=pi5-1&to=pi4-1&to={LONG}&energy_mj=100",
    "predictions": "?board=raspberry_pi_5&energy_mj=20",
}
DRAWN_IN = """scheme => {
    const app = document.querySelector("[data-testid=stApp]");
    return app && getComputedStyle(app).colorScheme === scheme;
}"""
PAGES = sorted(script.stem for script in (ROOT / "dashboard" / "screens").glob("*.py"))


@pytest.fixture(scope="module", params=["--long-names", "--empty"])
def address(request, tmp_path_factory):
    with (
        fake_controller(request.param) as controller,
        dashboard_of(controller, tmp_path_factory.mktemp("streamlit")) as url,
    ):
        yield url


@pytest.mark.parametrize("name", PAGES)
def test_nothing_serious_stands_in_anybodys_way_and_nothing_is_wider_than_a_phone(browser, address, name):
    page = browser.new_page()
    found, grounds = {}, set()
    page.emulate_media(color_scheme="light")
    page.goto(f"{address}/{'' if name == 'fleet' else name}{ASKED.get(name, '')}")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(DRAWN_IN, arg=scheme)
        grounds.add(drawn(page).locator("[data-testid=stApp]").evaluate("app => getComputedStyle(app).backgroundColor"))
        response = axe.Axe().run(page).response
        fits_on_a_phone(page)
        found |= {(scheme, each["id"]): places(each) for each in response["violations"] if each["impact"] in GRAVE}
    page.close()

    assert len(grounds) == 2
    assert found == {}


def places(violation):
    return [(node["html"][:160], node["any"][:1] and node["any"][0]["message"]) for node in violation["nodes"]][:4]
