"""What has to be made for a name, and from what."""

import pytest

from broker.errors import ArtifactError, InvalidError, NotFoundError
from controller.models.catalog import Catalogue
from controller.models.offer import wanted_formats
from controller.models.store import ArtifactStore
from controller.storage.store import Store
from controller.workshop.jobs import Begun, Job, Made, Order, Source, step
from controller.workshop.orders import Orders, ordered_name
from controller.workshop.records import Jobs
from tests.listing import listed_network
from tests.tiny_models import tiny_model

LISTED = {"resnet18": listed_network("resnet18", "a1_in1k"), "resnet19": listed_network("resnet19", None)}
TIMM = Source(kind="timm", name="resnet18.a1_in1k", pretrained=True)


@pytest.fixture
def orders(tmp_path):
    return Orders(artifacts=ArtifactStore(tmp_path), jobs=Jobs(Store(None)), listed=LISTED)


def test_a_listed_network_comes_with_its_published_weights(orders):
    assert orders.order("resnet18-int8", "tflite") == Order(
        model="resnet18-int8", format="tflite", variant="int8", source=TIMM
    )


def test_one_with_random_weights_says_so_in_its_name(orders):
    assert orders.order("resnet18_untrained", "onnx").source == Source(kind="timm", name="resnet18", pretrained=False)


def test_one_whose_weights_nobody_published_says_how_to_have_it_all_the_same(orders):
    with pytest.raises(ArtifactError) as refused:
        orders.order("resnet19", "onnx")

    assert refused.value.code == "no_weights"
    assert "--untrained" in refused.value.hint
    assert orders.order("resnet19_untrained", "onnx").source.pretrained is False


def test_weights_in_a_package_need_no_hub(orders):
    assert orders.order("efficientnet_lite0-fp16", "onnx").source == Source(kind="package", name="efficientnet_lite0")


def test_an_unknown_name_is_answered_with_the_nearest(orders):
    with pytest.raises(NotFoundError) as refused:
        orders.order("resnet81", "onnx")

    assert "resnet18" in refused.value.hint


def test_another_variant_of_a_file_that_somebody_added_is_made_from_that_file(orders):
    mine = orders.artifacts.add(tiny_model("resnet18"), model="resnet18")

    assert orders.order("resnet18-int8", "onnx").source == Source(
        kind="onnx", path=str(orders.artifacts.path(mine.sha256).resolve())
    )


def test_another_format_of_what_the_workshop_made_is_made_from_what_that_was_made_from(orders):
    made = orders.artifacts.add(tiny_model("resnet18"), model="resnet18")
    job = Job(id="j1", order=orders.order("resnet19_untrained", "onnx"), who="cli", created_at=1.0)
    orders.jobs.put(step(step(job, Begun(versions={}), 2.0), Made(sha256=made.sha256), 3.0))

    assert orders.order("resnet18", "tflite").source == job.order.source


@pytest.mark.parametrize(
    ("name", "variant", "untrained", "called"),
    [
        ("resnet18", None, False, "resnet18"),
        ("resnet18", "int8", False, "resnet18-int8"),
        ("resnet18-int8", None, False, "resnet18-int8"),
        ("resnet18-int8", "int8", True, "resnet18_untrained-int8"),
        ("resnet18_untrained", None, True, "resnet18_untrained"),
    ],
)
def test_a_name_may_say_its_variant_itself(name, variant, untrained, called):
    assert ordered_name(name, variant, untrained=untrained) == called


@pytest.mark.parametrize(("name", "variant"), [("resnet18-int8", "fp16"), ("../resnet18", None), ("", None)])
def test_a_name_that_cannot_be_is_refused(name, variant):
    with pytest.raises(InvalidError):
        ordered_name(name, variant)


@pytest.mark.parametrize("folder", ["/no/such/folder", "\0"])
def test_images_that_are_not_there_are_refused_before_anything_is_begun(orders, folder):
    with pytest.raises(InvalidError) as refused:
        orders.order("resnet18-int8", "onnx", calibration=folder)

    assert refused.value.code == "bad_calibration"


def device_with(*formats, **more):
    runtime = {"name": "any", "version": "1", "formats": list(formats)} | more
    return {"formats": list(formats), "runtimes": [runtime]}


def test_a_device_gets_what_it_reads_and_is_made_nothing_that_is_there_already(orders):
    catalogue = Catalogue(orders.artifacts, listed=LISTED)
    only_listed = catalogue.get("resnet18")
    both = wanted_formats(device_with("tflite", "onnx"))

    assert {order.format for order in orders.for_device(only_listed, both)} == {"onnx", "tflite"}
    assert orders.buildable(only_listed, both)
    orders.artifacts.add(tiny_model("resnet18"), model="resnet18")
    stored = catalogue.get("resnet18")
    assert not orders.buildable(stored, wanted_formats(device_with("onnx")))
    assert [order.format for order in orders.for_device(stored, both)] == ["tflite"]
