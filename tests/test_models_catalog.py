"""Models are found by name, and a miss names the nearest ones."""

import numpy as np
import pytest

from broker.errors import ArtifactError, ConflictError, InvalidError, NotFoundError
from controller.models import untrained
from controller.models.__main__ import main
from controller.models.catalog import Catalogue
from controller.models.listed import load
from controller.models.manifest import About
from controller.models.shipped import MODELS
from controller.models.store import ArtifactStore
from controller.workshop import imagenet
from tests.tiny_tflite import tiny_tflite

NAMES = ["digits_cnn_l", "digits_cnn_s", "digits_mlp"]


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(tmp_path / "store")


@pytest.fixture
def catalogue(store):
    return Catalogue(store, listed=load())


def test_the_shipped_models_are_there_with_their_facts(catalogue):
    large = catalogue.get("digits_cnn_l")

    assert [m.name for m in catalogue.all()] == NAMES
    assert (large.format, large.variant, large.trained, large.labels, large.popular) == ("onnx", "fp32", True, 10, True)
    assert 0.15 <= large.gmacs <= 0.4
    assert large.top1_pct >= 90
    assert large.features.gmacs == large.gmacs


def test_a_miss_names_the_nearest(catalogue):
    with pytest.raises(NotFoundError) as caught:
        catalogue.get("digit_cnn_xl")

    assert caught.value.code == "unknown_model"
    assert "digits_cnn_l" in caught.value.hint


def test_a_model_whose_file_was_damaged_is_called_so(catalogue, store):
    sha256 = catalogue.get("digits_mlp").artifact_sha256
    store.path(sha256).write_bytes(b"half of it")

    with pytest.raises(ArtifactError, match="damaged") as caught:
        catalogue.get("digits_mlp")
    assert "restart the controller" in caught.value.hint


def test_a_model_with_two_formats_is_one_model_with_the_facts_of_its_onnx_file(catalogue, store):
    tflite = store.add(tiny_tflite(), model="digits_mlp", format="tflite")
    model = catalogue.get("digits_mlp")

    assert [m.name for m in catalogue.all()] == NAMES
    assert (model.formats, model.format, model.size) == (("onnx", "tflite"), "onnx", model.artifacts[0].size)
    assert model.digests == {model.artifact_sha256, tflite.sha256}
    assert model.artifacts[0].about.opset == model.opset


def test_a_damaged_format_is_left_out_and_named(catalogue, store):
    tflite = store.add(tiny_tflite(), model="digits_mlp", format="tflite")
    store.path(tflite.sha256).write_bytes(b"rust")

    assert (catalogue.get("digits_mlp").formats, catalogue.get("digits_mlp").damaged) == (("onnx",), (tflite.sha256,))


def test_a_format_that_cannot_be_read_is_left_out(catalogue, store):
    store.add(b"no model", model="digits_mlp", format="tflite")

    assert catalogue.get("digits_mlp").formats == ("onnx",)


def test_a_model_that_is_only_listed_is_known_and_has_no_file(catalogue):
    listed, integers = catalogue.get("resnet18"), catalogue.get("resnet18-int8")

    assert (listed.stored, listed.format, listed.artifact_sha256, listed.size, listed.formats) == (
        False,
        None,
        None,
        None,
        (),
    )
    assert (listed.variant, integers.variant, integers.quantized, integers.top1_pct) == ("fp32", "int8", True, None)
    assert listed.features.size_mb == pytest.approx(4 * integers.features.size_mb)
    assert "resnet18" not in [m.name for m in catalogue.all()]


def test_only_what_the_workshop_made_can_be_made_again(catalogue, store):
    made = store.add(b"a", model="resnet18-int8", about=About(made_by={"torch": "2.13.0"}))
    own = store.add(b"b", model="resnet18", about=About(licence="mine"))

    assert (catalogue.could_be_made(made), catalogue.could_be_made(own)) == (True, False)


def test_a_model_that_takes_long_to_make_says_how(store):
    catalogue = Catalogue(store)
    with pytest.raises(NotFoundError) as caught:
        catalogue.get(imagenet.NAME)

    assert caught.value.hint == "it can be made: python -m controller.models efficientnet_lite0"


def test_mobilenet_is_made_when_asked_for_and_marked_as_untrained(catalogue):
    made = catalogue.get(untrained.NAME)

    assert (made.trained, made.top1_pct, made.labels) == (False, None, 0)
    assert round(made.gmacs * 1000) == 569
    assert catalogue.make(untrained.NAME) == made
    assert untrained.NAME in [m.name for m in catalogue.all()]


def test_what_nobody_can_make_is_refused(catalogue):
    with pytest.raises(NotFoundError, match="cannot be made"):
        catalogue.make("resnet_9000")


def test_the_command_line_adds_a_file_and_any_catalogue_sees_it(tmp_path, capsys):
    (tmp_path / "mine.onnx").write_bytes((MODELS / "digits_mlp.onnx").read_bytes())
    arguments = [str(tmp_path / "mine.onnx"), "--name", "mine", "--data", str(tmp_path / "data")]

    assert main(arguments) == 0
    assert "mine: 0.001184 million MACs" in capsys.readouterr().out
    assert Catalogue(ArtifactStore(tmp_path / "data" / "artifacts")).get("mine").labels == 10


def test_the_command_line_says_what_is_wrong_without_a_trace(tmp_path, capsys):
    assert main([str(tmp_path / "none.onnx"), "--data", str(tmp_path)]) == 1
    assert "cannot read" in capsys.readouterr().err


def test_a_users_model_is_added_under_its_own_name(catalogue, tmp_path):
    (tmp_path / "my_net.onnx").write_bytes(untrained.build())

    assert catalogue.add(tmp_path / "my_net.onnx", name="my_net").name == "my_net"
    assert catalogue.get("my_net").gmacs > 0.5
    assert not catalogue.get("my_net").popular


def test_a_users_tflite_file_is_told_by_its_content_and_kept_with_what_its_owner_says(catalogue, tmp_path):
    (tmp_path / "mine.bin").write_bytes(tiny_tflite(stored=np.int8, between=np.int8))
    made = catalogue.add(tmp_path / "mine.bin", about=About(licence="MIT", top1_pct=61.5))

    assert (made.name, made.formats, made.variant, made.quantized) == ("mine", ("tflite",), "int8", True)
    assert (made.top1_pct, made.artifacts[0].about.licence, made.artifacts[0].about.quantization) == (
        61.5,
        "MIT",
        "static",
    )


def test_a_users_model_cannot_take_the_name_of_a_shipped_one_or_a_path(catalogue):
    with pytest.raises(ConflictError):
        catalogue.add(MODELS / "digits_mlp.onnx")
    with pytest.raises(InvalidError):
        catalogue.add(MODELS / "digits_mlp.onnx", name="../x")


def test_a_damaged_upload_is_refused_and_not_kept(catalogue, store, tmp_path):
    (tmp_path / "bad.onnx").write_bytes((MODELS / "digits_mlp.onnx").read_bytes()[:500])
    before = store.all()

    with pytest.raises(ArtifactError):
        catalogue.add(tmp_path / "bad.onnx")
    assert store.all() == before


def test_a_file_in_the_store_that_is_no_model_is_left_out_of_the_list(catalogue, store):
    store.add(b"not a model", model="odd")

    assert [m.name for m in catalogue.all()] == NAMES


def test_without_torch_the_imagenet_model_says_what_to_install(monkeypatch):
    monkeypatch.setattr(imagenet, "NEEDED", ("no_such_package",))

    with pytest.raises(ArtifactError) as caught:
        imagenet.build()
    assert caught.value.hint == "pip install 'edgewatt[models]'"
