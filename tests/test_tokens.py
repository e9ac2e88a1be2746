"""Tokens: the secret is shown once, kept as a hash, and good until it is revoked or expires."""

import sqlite3

import pytest

from broker.errors import ConflictError, InvalidError, NotFoundError
from controller.access.roles import Role
from controller.access.secret import new_secret
from controller.access.tokens import USED_EVERY_S, Tokens
from controller.storage.store import Store

T0 = 1_800_000_000.0


@pytest.fixture
def tokens(store):
    return Tokens(store)


def test_a_secret_says_who_asks_and_how_much_they_may(tokens):
    assert not tokens.exist()
    secret = tokens.create("ada", "operator", T0)

    principal = tokens.who(secret, T0 + 1)

    assert (principal.name, principal.role) == ("ada", Role.OPERATOR)
    assert tokens.exist()


def test_the_secret_is_nowhere_in_the_database_file(tmp_path):
    path = tmp_path / "controller.db"
    store = Store(path)
    secret = Tokens(store).create("ada", "admin", T0)
    store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()

    random = secret.split("_", 2)[2]
    assert random.encode() not in path.read_bytes()
    with sqlite3.connect(path) as read:
        dumped = "\n".join(read.iterdump())
    read.close()
    assert "ada" in dumped
    assert random not in dumped


def test_what_is_not_quite_a_secret_is_nobodys(tokens):
    secret = tokens.create("ada", "admin", T0)
    random = secret.split("_", 2)[2]
    other = "B" if secret[-1] != "B" else "C"
    spoilt = ("", secret[:-1], f"{secret}A", secret[:-1] + other, secret[3:], f"ew_00000000_{random}", f"{secret}\n")

    assert tokens.who(secret, T0) is not None
    for each in (*spoilt, secret.upper(), "\udcff"):
        assert tokens.who(each, T0) is None


def test_a_revoked_token_is_a_strangers_and_its_name_is_free(tokens):
    secret = tokens.create("ada", "admin", T0)
    tokens.revoke("ada", T0)

    assert tokens.who(secret, T0) is None
    again = tokens.create("ada", "viewer", T0)
    assert tokens.who(again, T0).role is Role.VIEWER
    assert tokens.who(secret, T0) is None
    with pytest.raises(NotFoundError):
        tokens.revoke("bob", T0)


def test_a_token_ends_at_its_time(tokens):
    secret = tokens.create("ada", "admin", T0, expires_at=T0 + 10)

    assert tokens.who(secret, T0 + 9.9) is not None
    assert tokens.who(secret, T0 + 10) is None


def test_its_use_is_noted_now_and_then(tokens):
    secret = tokens.create("ada", "admin", T0)
    for at in (T0 + 1, T0 + USED_EVERY_S, T0 + USED_EVERY_S + 1.5):
        tokens.who(secret, at)
        noted = tokens.get("ada").last_used_at
        assert noted == (T0 + 1 if at < T0 + 1 + USED_EVERY_S else at)


def test_names_are_plain_once_and_no_words_of_the_events(tokens, store):
    store.add_device("pi5-1", T0, approved=True)
    tokens.create("ada", "admin", T0)

    with pytest.raises(ConflictError, match="already"):
        tokens.create("ada", "viewer", T0)
    for name in ("", "Ada", "a b", "-a", "x" * 65, "a\n", "dashboard", "mqtt", "pi5-1"):
        with pytest.raises(InvalidError):
            tokens.create(name, "viewer", T0)
    with pytest.raises(InvalidError, match="no role"):
        tokens.create("bob", "root", T0)
    with pytest.raises(InvalidError, match="expired"):
        tokens.create("bob", "viewer", T0, expires_at=T0)
    assert [token.name for token in tokens.list()] == ["ada"]


def test_making_and_revoking_are_events_without_the_secret(tokens, store):
    secret = tokens.create("ada", "admin", T0, who="root")
    tokens.revoke("ada", T0, who="bob")

    events = store.events(kind="access")
    assert [(event["who"], event["text"]) for event in events] == [
        ("bob", "token ada was revoked"),
        ("root", "token ada was made: admin"),
    ]
    assert secret not in str(events)


def test_a_higher_role_may_what_a_lower_one_may():
    assert [[mine.covers(needed) for needed in Role] for mine in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_the_token_that_was_made_before_the_database_is_taken_up_once(tokens, store):
    secret = new_secret()
    tokens.adopt(secret, "admin", T0)
    tokens.adopt(secret, "admin", T0 + 1)

    assert (tokens.who(secret, T0).name, tokens.who(secret, T0).role) == ("admin", Role.ADMIN)
    assert [event["text"] for event in store.events(kind="access")] == [
        "token admin of `edgewatt init` is taken up: admin"
    ]
    tokens.revoke("admin", T0)
    tokens.adopt(secret, "admin", T0 + 2)
    assert tokens.who(secret, T0 + 2) is None
    another = new_secret()
    tokens.adopt(another, "admin", T0 + 3)
    assert tokens.who(another, T0 + 3).role is Role.ADMIN
    with pytest.raises(InvalidError):
        tokens.adopt("ew_short", "admin", T0)
