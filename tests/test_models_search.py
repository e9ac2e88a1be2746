from dataclasses import replace

import pytest

from controller.models import listed
from controller.models.catalog import Catalogue
from controller.models.search import Search, families, ordered
from controller.models.store import ArtifactStore
from tests.tiny_models import tiny_model

ROWS = {name: listed.load()[name] for name in ("mobilenetv3_small_050", "resnet18", "resnet34d", "resnet50")}


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def catalogue(store, tmp_path):
    return Catalogue(store, shipped=tmp_path / "nothing", listed=ROWS)


def names(models):
    return [model.name for model in models]


def test_everything_is_what_is_stored_and_then_what_is_only_listed(catalogue, store):
    store.add(tiny_model(), model="resnet18")
    store.add(tiny_model(seed=1), model="mine")

    everything = catalogue.everything()

    assert names(everything) == ["mine", "resnet18", "mobilenetv3_small_050", "resnet34d", "resnet50"]
    assert [model.stored for model in everything] == [True, True, False, False, False]
    assert everything[1].formats == ("onnx",)
    assert everything[1].gmacs != ROWS["resnet18"].gmacs
    assert (everything[1].family, everything[0].family) == ("resnet", None)


def test_a_listed_model_has_the_figures_of_its_row_and_no_file(catalogue):
    model = catalogue.get("resnet50")
    row = ROWS["resnet50"]

    assert (model.stored, model.formats, model.artifact_sha256, model.size) == (False, (), None, None)
    assert (model.top1_pct, model.top1_source, model.family) == (row.top1_pct, row.top1_source, "resnet")
    assert model.features == row.features
    assert (model.labels, model.trained) == (1_000, None)


def test_an_architecture_without_weights_is_untrained(store, tmp_path):
    rows = {"resnet18": replace(ROWS["resnet18"], pretrained=None)}
    model = Catalogue(store, shipped=tmp_path / "nothing", listed=rows).get("resnet18")

    assert (model.trained, model.source) == (False, "timm resnet18")


def test_an_integer_variant_of_a_listed_model_claims_no_accuracy(catalogue):
    model = catalogue.get("resnet50-int8")

    assert (model.quantized, model.top1_pct, model.top1_source) == (True, None, None)


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (Search(q="RESNET"), ["resnet18", "resnet34d", "resnet50"]),
        (Search(family="mobilenetv3"), ["mobilenetv3_small_050"]),
        (Search(popular=True), ["mobilenetv3_small_050", "resnet18", "resnet50"]),
        (Search(popular=False), ["resnet34d"]),
        (Search(stored=True), []),
        (Search(max_params_m=12.0), ["mobilenetv3_small_050", "resnet18"]),
        (Search(min_top1=75.0), ["resnet34d", "resnet50"]),
        (Search(q="resnet", max_params_m=22.0, min_top1=75.0), ["resnet34d"]),
        (Search(q="nothing like it"), []),
    ],
)
def test_a_search_keeps_what_meets_all_of_it(catalogue, search, expected):
    assert names(m for m in catalogue.everything() if search.matches(m)) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("shelf", ["resnet34d", "mobilenetv3_small_050", "resnet18", "resnet50"]),
        ("name", ["mobilenetv3_small_050", "resnet18", "resnet34d", "resnet50"]),
        ("params_m", ["resnet34d", "mobilenetv3_small_050", "resnet18", "resnet50"]),
        ("gmacs", ["resnet34d", "mobilenetv3_small_050", "resnet18", "resnet50"]),
        ("top1_pct", ["resnet50", "resnet18", "mobilenetv3_small_050", "resnet34d"]),
    ],
)
def test_an_order_puts_them_so(catalogue, store, order, expected):
    store.add(tiny_model(), model="resnet34d")  # a tiny file that says no accuracy

    assert names(ordered(catalogue.everything(), order)) == expected


def test_families_are_counted_and_those_without_one_are_left_out(catalogue, store):
    store.add(tiny_model(), model="mine")

    assert families(catalogue.everything()) == {"mobilenetv3": 1, "resnet": 3}


def test_what_is_archived_is_not_offered_as_listed(catalogue, store):
    artifact = store.add(tiny_model(), model="resnet18")
    store._write_manifest(replace(artifact, archived=("resnet18",)))

    assert "resnet18" not in names(catalogue.everything())
