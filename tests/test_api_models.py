"""REST: stored models and those that could be made, in one shape."""

import pytest

from controller.models import listed
from tests.controlling import controller

SHIPPED = {"digits_cnn_l", "digits_cnn_s", "digits_mlp", "mobilenet_v1_untrained"}


@pytest.fixture
async def running(tmp_path):
    async with controller(tmp_path) as whole:
        yield whole


def names(answer):
    return [model["name"] for model in answer["models"]]


async def test_what_is_stored_comes_first_and_all_have_one_shape(running):
    answer = await running.get("/api/models/all", limit=1_000)
    stored, first = answer["models"][0], next(m for m in answer["models"] if not m["stored"])

    assert answer["total"] == len(SHIPPED) + len(listed.load())
    assert set(names(answer)[:4]) == SHIPPED
    assert stored.keys() == first.keys()
    assert (stored["stored"], stored["formats"], stored["top1_source"]) == (True, ["onnx"], "its file")
    assert (first["formats"], first["artifact_sha256"], first["size_mb"], first["trained"]) == ([], None, None, None)
    assert first["popular"]


async def test_pages_go_through_everything_once(running):
    whole = names(await running.get("/api/models/all", limit=60, sort="name"))
    pages = [await running.get("/api/models/all", limit=20, offset=at, sort="name") for at in (0, 20, 40)]

    assert [name for page in pages for name in names(page)] == whole
    assert names(await running.get("/api/models/all", offset=99_999)) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"q": "DIGITS_cnn"}, ["digits_cnn_l", "digits_cnn_s"]),
        ({"q": "resnet34", "family": "resnet", "max_params_m": 21.8}, ["resnet34"]),
        ({"family": "resnet", "stored": True}, []),
        ({"q": "tf_efficientnet_lite", "sort": "top1_pct"}, [f"tf_efficientnet_lite{n}" for n in (4, 3, 2, 1, 0)]),
        ({"stored": True, "sort": "gmacs", "q": "digits"}, ["digits_mlp", "digits_cnn_s", "digits_cnn_l"]),
    ],
)
async def test_models_are_found_by_word_family_size_and_place(running, query, expected):
    answer = await running.get("/api/models/all", **query)

    assert names(answer) == expected


async def test_families_are_counted_as_if_none_was_asked_for(running):
    answer = await running.get("/api/models/all", family="resnet", limit=1)

    assert answer["families"]["resnet"] == answer["total"]
    assert answer["families"]["mobilenetv3"] >= 3


async def test_with_a_board_each_model_says_what_it_would_cost_there(running):
    answer = await running.get("/api/models/all", device_type="raspberry_pi_4", q="mobilenetv3_small", sort="energy_mj")
    energies = [model["prediction"]["energy_mj"] for model in answer["models"]]

    assert energies == sorted(energies)
    assert all(m["prediction"]["low_mj"] <= m["prediction"]["high_mj"] for m in answer["models"])
    assert "prediction" not in (await running.get("/api/models/all"))["models"][0]


@pytest.mark.parametrize(
    ("query", "field"),
    [({"sort": "energy_mj"}, "device_type"), ({"sort": "beauty"}, "sort"), ({"max_params_m": "big"}, "max_params_m")],
)
async def test_a_question_that_makes_no_sense_is_refused_by_field(running, query, field):
    answer = await running.http.get("/api/models/all", params=query)

    assert (answer.status_code, answer.json()["field"]) == (422, field)


async def test_the_well_known_are_fifteen_and_more(running):
    answer = await running.get("/api/models/popular", device_type="raspberry_pi_5")

    assert answer["total"] == len(answer["models"]) >= 15
    assert {"mobilenetv3_small_100", "efficientnet_b0", "resnet18", "resnet50"} <= set(names(answer))
    assert all(model["popular"] and "prediction" in model for model in answer["models"])


async def test_the_recommended_cost_least_of_those_accurate_enough_and_say_whether_they_are_stored(running):
    answer = await running.get("/api/models/recommended", device_type="raspberry_pi_4", min_top1=75)
    energies = [model["prediction"]["energy_mj"] for model in answer["models"]]

    assert len(energies) == 10
    assert energies == sorted(energies)
    assert all(model["top1_pct"] >= 75 for model in answer["models"])
    assert {model["stored"] for model in answer["models"]} == {True, False}


async def test_recommended_can_be_of_the_store_only(running):
    answer = await running.get("/api/models/recommended", device_type="raspberry_pi_4", stored=True)

    assert set(names(answer)) == SHIPPED


async def test_one_model_is_shown_by_name_and_a_miss_names_the_nearest(running):
    found = await running.get("/api/models/named/resnet18", device_type="raspberry_pi_5")
    missed = await running.http.get("/api/models/named/resnet19")

    assert found["model"]["top1_source"].startswith("timm results, resnet18.")
    assert found["model"]["prediction"]["energy_mj"] > 0
    assert (missed.status_code, missed.json()["code"]) == (404, "unknown_model")
    assert "resnet18" in missed.json()["hint"]


async def test_a_listed_model_is_predicted_by_its_name(running):
    answer = await running.post("/api/predict-energy", device_type="raspberry_pi_4", model_name="mobilenetv2_100")

    assert answer.json()["data"]["energy_mj"] > 0


async def test_a_listed_model_that_was_stored_is_there_once_with_what_its_file_says(running):
    artifact = running.parts.service.artifacts.all()[0]
    path = running.parts.service.artifacts.path(artifact.sha256)
    running.parts.service.artifacts.add(path, model="resnet18")

    found = (await running.get("/api/models/all", q="resnet18", stored=True))["models"]

    assert [(m["name"], m["stored"], m["family"]) for m in found] == [("resnet18", True, "resnet")]
    assert found[0]["gmacs"] != listed.load()["resnet18"].gmacs
