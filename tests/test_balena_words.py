"""What is asked of balena and what may be written there: quoting, keys, pins, joins, waits; without a network."""

import pytest

from broker.errors import ConflictError, InvalidError, NotFoundError, UnreachableError
from controller.balena import answers, busy, pinning, questions
from controller.balena.joined import counts, join
from controller.balena.pinning import Pin
from controller.balena.questions import Write
from controller.balena.token import VARIABLE, Token, take
from controller.settings import Settings

UUID = "0123456789abcdef0123456789abcdef"


def test_a_quote_in_a_text_is_doubled():
    assert questions.quoted("it's") == "'it''s'"


def test_devices_are_asked_for_by_the_slug_of_their_fleet():
    asked = questions.devices("Acme/Line")

    assert asked.path == "/v7/device"
    assert asked.query["$filter"] == "belongs_to__application/any(a:a/slug eq 'acme/line')"


@pytest.mark.parametrize("slug", ["", "line", "acme/line/x", "acme/li ne", "acme/'or'", "../x", "acme/", "/line"])
def test_what_is_no_slug_is_refused_before_it_is_sent(slug):
    with pytest.raises(InvalidError, match="no slug"):
        questions.devices(slug)


@pytest.mark.parametrize("uuid", ["", "0123", UUID + "0", "g" * 32, f"{UUID}')", "1 or 1 eq 1"])
def test_what_is_no_uuid_is_refused_before_it_is_sent(uuid):
    for ask in (questions.device, lambda each: questions.logs(each, 1), lambda each: questions.pin_device(each, 1)):
        with pytest.raises(InvalidError, match="no uuid"):
            ask(uuid)


@pytest.mark.parametrize(
    ("resource", "key", "fields"),
    [
        ("device", "", {"is_pinned_on__release": 1}),
        ("application", "", {"should_be_running__release": 1}),
        ("device", UUID, {}),
        ("device", UUID, {"should_be_running__release": 1}),
        ("device", UUID, {"is_pinned_on__release": 1, "device_name": "x"}),
        ("application", "acme/line", {"app_name": "x"}),
    ],
)
def test_a_write_without_a_key_or_of_another_field_cannot_be_made(resource, key, fields):
    with pytest.raises(InvalidError):
        Write(resource=resource, key=key, fields=fields)


def test_a_pin_is_a_patch_of_one_thing():
    assert questions.pin_device(UUID, 7).path == f"/v7/device(uuid='{UUID}')"
    assert questions.pin_fleet("acme/line", 7).path == "/v7/application(slug='acme/line')"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"device_uuid": UUID, "app_slug": "acme/line"},
        {"device_uuid": ""},
        {"app_slug": ""},
        {"app_slug": "x", "release_id": 1},
        {"app_slug": "acme/line", "release_id": 0},
        {"app_slug": "acme/line", "release_id": 2**70},
    ],
)
def test_a_pin_names_one_target_and_a_release(asked):
    with pytest.raises(InvalidError):
        Pin(**({"release_id": 1} | asked))


NEWEST = [{"id": 9, "name": "1.9"}, {"id": 8, "name": "1.8"}]
RELEASE = {"id": 5, "name": "1.5", "fleet": "acme/line", "status": "success", "invalidated": False}


@pytest.mark.parametrize(
    ("release", "error", "code"),
    [
        (None, NotFoundError, "unknown_release"),
        (RELEASE | {"fleet": "acme/other"}, ConflictError, "foreign_release"),
        (RELEASE | {"status": "failed"}, ConflictError, "release_not_successful"),
        (RELEASE | {"status": "running"}, ConflictError, "release_not_successful"),
        (RELEASE | {"invalidated": True}, ConflictError, "release_not_successful"),
    ],
)
def test_what_may_not_be_pinned_is_answered_with_the_newest_that_may(release, error, code):
    with pytest.raises(error) as raised:
        pinning.check(5, release, "acme/line", NEWEST)

    assert raised.value.code == code
    assert raised.value.hint.endswith("9 (1.9), 8 (1.8)")


def test_a_fleet_without_any_successful_release_says_so():
    with pytest.raises(NotFoundError) as raised:
        pinning.check(5, None, "acme/line", [])

    assert "no successful release yet" in raised.value.hint


def board(uuid, name):
    return {"uuid": uuid, "name": name}


def test_boards_are_joined_by_uuid_and_never_by_name():
    theirs = [board("aa", "gate"), board("bb", "belt")]
    ours = [{"id": "pi5-1", "balena_uuid": "AA"}, {"id": "belt"}, {"id": "old", "balena_uuid": "cc"}]

    rows = join(theirs, ours)

    assert [(row["where"], row["name"]) for row in rows] == [
        ("both", "gate"),
        ("balena", "belt"),
        ("here", "belt"),
        ("here", "old"),
    ]
    assert counts(rows) == {"both": 1, "balena": 1, "here": 2}


def test_two_agents_on_one_board_are_two_rows():
    rows = join([board("aa", "gate")], [{"id": "one", "balena_uuid": "aa"}, {"id": "two", "balena_uuid": "aa"}])

    assert [row["device"]["id"] for row in rows] == ["one", "two"]


@pytest.mark.parametrize("answer", [None, [], "text", {"d": None}, {"d": {"uuid": UUID}}, {"d": [1]}, {"data": []}])
def test_an_answer_without_its_envelope_is_no_answer_of_balena(answer):
    with pytest.raises(UnreachableError) as raised:
        answers.rows(answer)

    assert raised.value.code == "balena_answer"


def test_a_device_of_which_balena_says_little_has_blanks_and_no_zeros():
    told = answers.device_document({"uuid": UUID, "cpu_temp": None, "is_running__release": []})

    assert told["uuid"] == UUID
    assert {value for name, value in told.items() if name != "uuid"} == {None}


@pytest.mark.parametrize("answer", [{"d": []}, [1], "x"])
def test_lines_that_are_no_list_are_no_answer_of_balena(answer):
    with pytest.raises(UnreachableError):
        answers.line_documents(answer)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("3", 3.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        (None, busy.UNSAID_S),
        ("soon", busy.UNSAID_S),
        ("nan", busy.UNSAID_S),
        ("inf", busy.UNSAID_S),
    ],
)
def test_a_retry_after_is_a_number_or_a_date(header, seconds):
    assert busy.wait_s(header, 1_000.0) == seconds


def test_a_token_is_taken_out_of_the_environment_and_not_shown():
    environment = {VARIABLE: " very-secret \n"}

    token = take(environment, "")

    assert environment == {}
    assert token == Token("very-secret")
    assert "very-secret" not in f"{token} {token!r}"


def test_a_token_may_be_in_a_file(tmp_path):
    (tmp_path / "token").write_text("from-a-file\n")

    assert take({}, str(tmp_path / "token")) == Token("from-a-file")
    assert take({VARIABLE: "nearer"}, str(tmp_path / "token")) == Token("nearer")
    assert take({}, "") is None


@pytest.mark.parametrize("content", [b"", b" \n", b"two words", b"two\nlines", "schlüssel".encode(), b"\xff\xfe"])
def test_what_can_be_no_token_is_refused_without_saying_it(tmp_path, content):
    (tmp_path / "token").write_bytes(content)

    with pytest.raises(InvalidError) as raised:
        take({}, str(tmp_path / "token"))

    assert str(tmp_path / "token") in raised.value.message
    assert "two" not in raised.value.message


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidError, match="No such file"):
        take({}, str(tmp_path / "none"))


@pytest.mark.parametrize("url", ["", "api.balena-cloud.com", "http://api.example.org", "ftp://127.0.0.1", "https://"])
def test_a_token_is_never_sent_in_the_clear(url):
    with pytest.raises(InvalidError, match="balena_api_url"):
        Settings(balena_api_url=url)
