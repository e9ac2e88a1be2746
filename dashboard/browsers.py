"""Remembers who signed in in which browser: each link is a new session of Streamlit's.

The token stays in this process's memory. The browser holds a random word, as a cookie that no other site's page sends.
"""

import secrets
import threading
import time
from collections import OrderedDict

import streamlit as st

MOST = 1_000
KEPT_S = 12 * 3_600.0


class Browsers:
    """The newest sign-ins, bounded; each ends after half a day."""

    def __init__(self) -> None:
        """Remember nobody."""
        self._tokens: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, token: str, now: float) -> str:
        """Return the word for a browser in which `token` signed in."""
        word = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens[word] = (token, now + KEPT_S)
            while len(self._tokens) > MOST:
                self._tokens.popitem(last=False)
        return word

    def token_of(self, word: str, now: float) -> str | None:
        """Return the token that signed in in the browser with `word`, None for none, or when its time is over."""
        with self._lock:
            token, until = self._tokens.get(word, (None, 0.0))
        return token if now < until else None

    def forget(self, word: str) -> None:
        """Let the browser with `word` be a stranger's."""
        with self._lock:
            self._tokens.pop(word, None)


@st.cache_resource(show_spinner=False)
def browsers() -> Browsers:
    """Return those of this process."""
    return Browsers()


def word() -> str:
    """Return the word of this browser, "" where it has none."""
    return str(st.session_state.get("browser") or st.context.cookies.get(_cookie(), ""))


def token() -> str | None:
    """Return the token that signed in in this browser."""
    return browsers().token_of(word(), time.time())


def sign_in(secret: str) -> None:
    """Remember this browser; `keep` then tells it its word."""
    st.session_state["browser"] = browsers().remember(secret, time.time())


def sign_out() -> None:
    """Forget this browser."""
    browsers().forget(word())
    st.session_state["browser"] = ""


def keep() -> None:
    """Have the browser keep the word that this session gave it, or drop what it has."""
    given = st.session_state.get("browser")
    if given is None:
        return
    ends = f"max-age={int(KEPT_S)}" if given else "max-age=0"
    secure = "; secure" if (st.context.url or "").startswith("https:") else ""
    said = f"{_cookie()}={given}; path=/; samesite=strict; {ends}{secure}"
    st.html(f"<script>document.cookie = {said!r}</script>", unsafe_allow_javascript=True)


def _cookie() -> str:
    """Return the cookie's name; the cookies of two dashboards on one machine are one jar."""
    return f"edgewatt_{st.get_option('server.port')}"
