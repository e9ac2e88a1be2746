"""Examples of answers in the OpenAPI document: there is one for each path, and it has the shape of what is answered."""

import asyncio

import jsonschema
import pytest

from controller.api.app import described
from controller.api.examples import differences, operations, recorded, schema_of
from tests.rest_story import shown, tell

AGAIN = "run `python -m tests.rest_story`"
EXAMPLES = recorded()
OPERATIONS = dict(operations(described("0").openapi()))


def content_of(name):
    (told,) = (answer for code, answer in OPERATIONS[name]["responses"].items() if code.startswith("2"))
    return told["content"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("story")


@pytest.fixture(scope="module")
def answers(folder):
    return shown(asyncio.run(tell(folder)), folder)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_has_the_shape_of_what_is_answered(answers, name):
    assert list(differences(EXAMPLES[name], answers[name])) == [], AGAIN


def test_each_path_has_an_example_or_is_a_file(answers):
    documents = {name for name in OPERATIONS if "application/json" in content_of(name)}
    assert documents == EXAMPLES.keys(), f"tell it in tests/rest_story.py, then {AGAIN}"
    assert EXAMPLES.keys() == answers.keys(), AGAIN


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_document_shows_it_with_a_schema_that_it_keeps(name):
    ((media, content),) = content_of(name).items()

    assert media == "application/json" or name not in EXAMPLES
    if media == "application/json":
        assert content["example"] == EXAMPLES[name]
        jsonschema.validate(content["example"], content["schema"])


def test_no_example_tells_a_secret_or_of_the_machine_that_it_was_made_on():
    text = str(EXAMPLES)

    assert "/tmp/" not in text
    assert "PRIVATE KEY" not in text
    assert EXAMPLES["POST /api/tokens"]["secret"] == "…"
    assert EXAMPLES["POST /api/devices/{device_id}/enroll"]["files"]["password"] == "…"


@pytest.mark.parametrize(
    ("example", "answer", "told"),
    [
        ({"a": 1}, {"a": 2.5}, []),
        ({"a": 1}, {"b": 1}, ["$.a is gone", "$.b is new"]),
        ({"a": None, "b": []}, {"a": {"c": 1}, "b": [1]}, []),
        ({"a": [{"b": 1}]}, {"a": [{"b": "x"}]}, ["$.a[0].b is string, not number"]),
        ({"a": True}, {"a": 1}, ["$.a is number, not boolean"]),
        ({"a": {}}, {"a": 1}, []),
        ([], {"a": 1}, []),
    ],
)
def test_another_shape_is_told_with_its_place(example, answer, told):
    assert list(differences(example, answer)) == told


def test_a_schema_says_what_a_field_is_when_it_is_there():
    schema = schema_of({"a": 1, "b": None, "c": [{"d": "x"}], "e": []})

    for good in ({"a": 2.5, "b": "?"}, {"a": None, "c": []}, {"c": [{"d": None}], "e": [1, "x"]}):
        jsonschema.validate(good, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"c": [{"d": 7}]}, schema)
