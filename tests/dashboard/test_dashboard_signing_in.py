"""Signing in at the dashboard: a token or a provider, each session its own, and no button that its role cannot use."""

import time

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import browsers
from dashboard.visitor import Person, Visitor, person
from tests.dashboard.conftest import APP, Page

NOW = 1_800_000_000.0
VERA, OSKAR, BOARD = (f"ew_{n}2345678_" + "A" * 43 for n in "vob")
OPERATORS = ("deploy", "approve", "forget", "start", "stop", "rollback", "ping", "benchmark", "cancel")
AUTH = {"redirect_uri": "http://x/oauth2callback", "cookie_secret": "x" * 32, "client_id": "x", "client_secret": "x"}
AUTH |= {"server_metadata_url": "http://127.0.0.1:1/none"}
NAMELESS = "your provider says neither an e-mail address nor who you are"
ADA = {"email": "Ada@example.org", "is_logged_in": True}


@pytest.fixture
def closed(fake):
    """A controller that asks for a token."""
    fake.tokens = {VERA: ("vera", "viewer"), OSKAR: ("oskar", "operator"), BOARD: ("dashboard-1", "operator")}
    return fake


def entered(secret, name="fleet", **query):
    """A page after signing in with `secret`."""
    page = Page(name, **query)
    page.at.text_input(key="token").set_value(secret)
    return page.click("enter")


def provided(claims, **settings):
    """The first page as somebody whom a provider signed in."""
    at = AppTest.from_file(str(APP), default_timeout=30)
    at.secrets["auth"], at.secrets["edgewatt"], at.user = AUTH, settings, claims
    at.run()
    assert not at.exception
    return at


def said(at):
    return "\n".join(each.value for each in at.html)


@pytest.mark.usefixtures("closed")
def test_nothing_is_shown_before_the_right_token_and_a_wrong_one_is_told_in_a_sentence():
    page = Page("fleet")
    assert page.has("text_input", "token")
    assert "That did not work" not in page.text

    for wrong in ("ew_12345678_" + "B" * 43, "two\nlines", "é"):
        page.at.text_input(key="token").set_value(wrong)
        page.click("enter")
        assert "That did not work" in page.text
        assert page.has("text_input", "token")
        assert wrong not in page.markup
        assert "pi5-1" not in page.markup


@pytest.mark.usefixtures("closed")
def test_the_right_token_opens_the_page_that_was_asked_for_with_what_its_role_can_do():
    page = entered(OSKAR, "device", id="pi5-1")

    assert "signed in as" in page.text
    assert "oskar" in page.text
    assert "no sign-in" not in page.text
    assert page.has("button", "rollback")
    assert not page.has("button", "forget")
    assert OSKAR not in page.markup


@pytest.mark.usefixtures("closed")
def test_a_viewer_sees_no_button_that_acts():
    page = entered(VERA, "device", id="pi5-1")
    assert "vera" in page.text
    assert [key for key in OPERATORS if page.has("button", key)] == []

    page.at.switch_page("screens/deploy.py")
    page.run()
    assert "Deploying needs the role operator" in page.text
    assert [key for key in OPERATORS if page.has("button", key)] == []


def test_sessions_do_not_share_what_the_controller_said_to_another(closed):
    one, other = entered(OSKAR), entered(VERA)

    assert "vera" in other.run().text
    assert "oskar" not in other.text
    one.click("sign-out")
    assert one.has("text_input", "token")
    assert "pi5-1" not in one.markup
    assert "pi5-1" in other.anew().markup
    closed.tokens.pop(VERA)
    assert other.anew().has("text_input", "token")
    assert "pi5-1" not in other.markup


def test_a_browser_is_remembered_for_half_a_day_and_by_nothing_but_its_word():
    known = browsers.Browsers()
    word = known.remember(OSKAR, NOW)

    assert known.token_of(word, NOW + browsers.KEPT_S - 1) == OSKAR
    assert known.token_of(word, NOW + browsers.KEPT_S) is None
    assert known.token_of("", NOW) is known.token_of("other", NOW) is None
    known.forget(word)
    assert known.token_of(word, NOW) is None
    words = [known.remember(OSKAR, NOW) for _ in range(browsers.MOST + 1)]
    assert [known.token_of(words[index], NOW) for index in (0, -1)] == [None, OSKAR]


def test_a_visitors_secret_is_not_in_what_names_them():
    visitor = Visitor(token=OSKAR)

    assert OSKAR not in repr(visitor) + visitor.key
    assert visitor.key != Visitor(token=VERA).key != Visitor(token=VERA, user="a").key


@pytest.mark.parametrize(
    ("claims", "default", "expected"),
    [
        ({"email": "Ada@Example.org"}, "", Person(name="ada@example.org", role="operator")),
        ({"email": "ada@example.org", "exp": NOW}, "", Person(refused="your sign-in has ended")),
        ({"email": "ada@example.org", "exp": NOW + 1}, "", Person(name="ada@example.org", role="operator")),
        ({"email": "bob@x.org"}, "", Person(name="bob@x.org", refused="bob@x.org has no role here")),
        ({"email": "bob@x.org"}, "boss", Person(name="bob@x.org", refused="bob@x.org has no role here")),
        ({"email": "bob@x.org"}, "viewer", Person(name="bob@x.org", role="viewer")),
        ({"email": "ada@example.org", "email_verified": False, "sub": "7"}, "viewer", Person(name="7", role="viewer")),
        ({"email": "a b", "sub": "é"}, "viewer", Person(refused=NAMELESS)),
        ({}, "viewer", Person(refused=NAMELESS)),
    ],
)
def test_a_provider_says_who_and_the_settings_say_what_they_may(claims, default, expected):
    assert person(claims, {"ada@example.org": "operator"}, default, NOW) == expected


def test_with_a_provider_the_dashboard_asks_with_its_own_token_for_the_person(closed, monkeypatch, tmp_path):
    file = tmp_path / "dashboard.token"
    file.write_text(BOARD)
    monkeypatch.setenv("EDGEWATT_TOKEN_FILE", str(file))
    at = provided(ADA | {"exp": time.time() + 60}, roles={"ada@example.org": "viewer"})

    assert "ada@example.org" in said(at)
    assert set(closed.asked_for) == {("ada@example.org", "viewer")}
    assert not any(each.key == "token" for each in at.text_input)


@pytest.mark.parametrize(
    ("claims", "sentence"),
    [
        ({"is_logged_in": False}, None),
        (ADA | {"exp": 1.0}, "your sign-in has ended"),
    ],
)
def test_who_is_not_in_yet_is_offered_the_provider(closed, claims, sentence):
    at = provided(claims, roles={"ada@example.org": "viewer"})

    assert any(each.key == "login" for each in at.button)
    assert (sentence or "Sign") in said(at) + at.title[0].value
    assert "pi5-1" not in said(at)
    assert closed.asked_for == []


def test_a_dashboard_whose_token_may_not_ask_for_others_lets_nobody_act_as_itself(closed, monkeypatch, tmp_path):
    file = tmp_path / "dashboard.token"
    file.write_text(BOARD)
    monkeypatch.setenv("EDGEWATT_TOKEN_FILE", str(file))
    closed.acts_for_others = False
    told = said(provided(ADA, default_role="viewer"))

    assert "may not ask for others" in told
    assert "pi5-1" not in told


@pytest.mark.usefixtures("closed")
def test_a_dashboard_without_its_token_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWATT_TOKEN_FILE", str(tmp_path / "none"))
    assert "cannot read its token" in said(provided(ADA, default_role="viewer"))

    monkeypatch.delenv("EDGEWATT_TOKEN_FILE")
    assert "EDGEWATT_TOKEN_FILE" in said(provided(ADA, default_role="viewer"))
