"""`edgewatt tokens` and `whoami`: a secret is shown once, and comes from a file or the environment."""

import json
import stat
import threading

import pytest

from broker.errors import AccessError
from controller.access.tokens import Tokens
from controller.cli.app import run
from controller.cli.exits import Exit
from controller.client import Client
from controller.storage.store import Store
from tests.test_client import Scripted

SECRET = "ew_0123abcd_" + "A" * 43


@pytest.fixture
def fake():
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def data(tmp_path):
    """The data folder of a controller."""
    Store(tmp_path / "controller.db").close()
    return tmp_path


def known(data, secret):
    store = Store(data / "controller.db")
    try:
        return Tokens(store).who(secret.strip(), 1.0)
    finally:
        store.close()


def test_the_secret_is_sent_in_a_header_and_printed_nowhere(edgewatt, fake, monkeypatch, tmp_path):
    file = tmp_path / "my.token"
    file.write_text(SECRET + "\n")
    me = {"success": True, "signed_in": True, "name": "ada", "role": "admin", "expires_at": None}
    fake.answer = (200, me)
    for name, value in (("EDGEWATT_TOKEN", SECRET), ("EDGEWATT_TOKEN_FILE", str(file))):
        with monkeypatch.context() as set_:
            set_.setenv(name, value)
            code, out, err = edgewatt("whoami")
            assert (code, fake.told[-1][3]["Authorization"]) == (Exit.DONE, f"Bearer {SECRET}")
            shown = edgewatt("config", "show", "--json")[1]
        row = next(each for each in json.loads(shown)["settings"] if each["setting"] == "token")
        assert row["value"] == "(a secret)"
        assert name in row["origin"] or str(file) in row["origin"]
        assert SECRET not in out + err + shown
        assert "ada" in out
    assert edgewatt("whoami")[0] == Exit.DONE
    assert "Authorization" not in fake.told[-1][3]


def test_no_option_takes_a_secret(edgewatt):
    code, _, err = edgewatt("status", "--token", SECRET)

    assert code == Exit.USAGE
    assert "No such option" in err


def test_a_token_file_that_cannot_be_read_is_told(edgewatt, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEWATT_TOKEN_FILE", str(tmp_path / "none"))
    code, _, err = edgewatt("whoami")
    assert code == Exit.USAGE
    assert "cannot read the token" in err

    monkeypatch.setenv("EDGEWATT_TOKEN", "two\nlines")
    code, _, err = edgewatt("whoami")
    assert code == Exit.USAGE
    assert "lines" not in err


@pytest.mark.parametrize(
    ("status", "code"), [(401, "not_signed_in"), (403, "not_allowed"), (429, "too_many_requests"), (403, "new_word")]
)
def test_who_may_not_is_told_with_an_exit_code_of_its_own(edgewatt, fake, status, code):
    fake.answer = (status, {"success": False, "error": "no", "code": code, "hint": "sign in"})

    exit_code, _, err = edgewatt("status")

    assert exit_code == Exit.DENIED
    assert "hint: sign in" in err
    with pytest.raises(AccessError) as refused, Client(fake.url) as client:
        client.status()
    assert refused.value.code == code


def test_tokens_are_made_listed_and_revoked_over_rest(edgewatt, fake, tmp_path):
    fake.answer = (201, {"success": True, "token": {"name": "ci"}, "secret": SECRET})
    code, out, err = edgewatt("tokens", "create", "ci", "--role", "operator", "--expires", "90d")
    assert (code, out.strip()) == (Exit.DONE, SECRET)
    assert SECRET not in err
    assert fake.told[-1][:3] == (
        "POST",
        "/api/tokens",
        {"name": "ci", "role": "operator", "expires": "90d", "act_as": False},
    )

    file = tmp_path / "ci.token"
    code, out, err = edgewatt("tokens", "create", "ci", "--out", str(file), "--json")
    assert (code, file.read_text()) == (Exit.DONE, f"{SECRET}\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SECRET not in out + err
    assert edgewatt("tokens", "create", "ci", "--out", str(file))[0] == Exit.FAILED

    fake.answer = (200, {"success": True, "name": "ci"})
    assert edgewatt("tokens", "revoke", "ci")[0] == Exit.USAGE
    assert edgewatt("tokens", "revoke", "ci", "--yes")[0] == Exit.DONE
    assert fake.told[-1][:2] == ("DELETE", "/api/tokens/ci")


def test_on_the_controllers_machine_tokens_need_no_controller(data, capsys):
    assert run(["tokens", "create", "ada", "--role", "admin", "--data", str(data)]) == Exit.DONE
    secret = capsys.readouterr().out.strip()
    assert known(data, secret).name == "ada"

    assert run(["tokens", "list", "--data", str(data), "--json"]) == Exit.DONE
    (listed,) = json.loads(capsys.readouterr().out)["tokens"]
    assert (listed["name"], listed["role"], listed["created_by"]) == ("ada", "admin", "local")

    assert run(["tokens", "revoke", "ada", "--yes", "--data", str(data)]) == Exit.DONE
    assert known(data, secret) is None
    assert run(["tokens", "list", "--data", str(data / "elsewhere")]) == Exit.NOT_FOUND
