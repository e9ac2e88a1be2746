"""Turns the name of a model into what has to be made, and decides from what."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from broker.errors import ArtifactError, InvalidError, NotFoundError
from controller.models.listed import Listed
from controller.models.manifest import Format, Variant
from controller.models.model import Model
from controller.models.naming import NAME, split, variant_name
from controller.models.offer import Wanted
from controller.models.store import ArtifactStore
from controller.workshop import imagenet
from controller.workshop.jobs import Order, Source
from controller.workshop.records import Jobs

UNTRAINED = "_untrained"
"""Ends the name of a network with random weights, so that nobody deploys one for the trained one of the same name."""

PACKAGED = frozenset({imagenet.NAME})
"""Networks whose weights come in a package."""

OPSET = 15
"""What ONNX files are made in; a runtime that reads less cannot be served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What can be made: `listed` networks, those in packages, and other variants and formats of what is stored."""

    artifacts: ArtifactStore
    jobs: Jobs
    listed: Mapping[str, Listed]

    def order(self, name: str, form: Format, *, calibration: str | None = None) -> Order:
        """Return what makes the model `name` as `form`.

        `calibration` is a folder of images. Raises InvalidError for one that is not there, NotFoundError with the
        nearest names, ArtifactError for a network without published weights, and what the
        store raises for a damaged file.
        """
        base, variant = split(name)
        if calibration is not None:
            _require_folder(calibration)
        return Order(model=name, format=form, variant=variant, source=self._source(base), calibration=calibration)

    def buildable(self, model: Model, wanted: Sequence[Wanted]) -> bool:
        """Return whether a file of `model` could be made in one of the formats that a device takes."""
        return bool(self.for_device(model, wanted))

    def for_device(self, model: Model, wanted: Sequence[Wanted]) -> list[Order]:
        """Return what could be made of `model` for a device that takes `wanted`, in its order; may be nothing."""
        found = []
        for each in wanted:
            try:
                order = self.order(model.name, each.format)
            except (NotFoundError, ArtifactError):
                return []
            itself = order.source.kind == "onnx" and (each.format, order.variant) == ("onnx", "fp32")
            if not itself and _helps(model, each):
                found.append(order)
        return found

    def _source(self, base: str) -> Source:
        stored = self.artifacts.find(base)
        maker = self.jobs.maker(stored.sha256) if stored else None
        if maker is not None:
            return maker.order.source
        if base in PACKAGED:
            return Source(kind="package", name=base)
        if stored is not None:
            return Source(kind="onnx", path=str(self.artifacts.path(stored.sha256).resolve()))
        network = base.removesuffix(UNTRAINED)
        if network != base and network in self.listed:
            return Source(kind="timm", name=network, pretrained=False)
        if base not in self.listed:
            raise NotFoundError(f"no model {base!r}", code="unknown_model", hint=self._nearest(base))
        listed = self.listed[base]
        if listed.pretrained is None:
            raise ArtifactError(
                f"nobody published weights of {base} for timm",
                code="no_weights",
                hint=f"edgewatt models download {base} --untrained makes it with random ones",
            )
        return Source(kind="timm", name=listed.weights, pretrained=True)

    def _nearest(self, base: str) -> str:
        known = {*self.listed, *PACKAGED, *(name for artifact in self.artifacts.all() for name in artifact.models)}
        near = difflib.get_close_matches(base, sorted(known), n=3, cutoff=0.4)
        return f"did you mean {', '.join(near)}?" if near else "edgewatt models list shows what there is"


def ordered_name(name: str, variant: Variant | None, *, untrained: bool = False) -> str:
    """Return what the file will be called: `name`, which may say its variant already, as `variant`.

    Raises InvalidError for a name that cannot be one, and when both say different things.
    """
    if not NAME.fullmatch(name):
        raise InvalidError(f"{name[:80]!r} cannot be a model's name", hint="letters, digits, . _ -", field="model_name")
    base, said = split(name)
    if variant not in (None, said) and said != "fp32":
        raise InvalidError(f"{name} is {said}, and variant says {variant}", hint="give one of them", field="variant")
    if untrained and not base.endswith(UNTRAINED):
        base += UNTRAINED
    return variant_name(base, variant or said)


def _require_folder(path: str) -> None:
    try:
        there = Path(path).is_dir()
    except ValueError:
        there = False
    if not there:
        raise InvalidError(
            f"there is no folder {path[:200]!r} on the controller's machine",
            code="bad_calibration",
            hint="name a folder of images there, or leave it out for the photographs that come with the workshop",
            field="calibration",
        )


def _helps(model: Model, wanted: Wanted) -> bool:
    """Return whether making `wanted` gives a device what it has not been offered already."""
    if wanted.opset_max is not None and wanted.opset_max < OPSET:
        return False
    stored = next((a for a in model.artifacts if a.format == wanted.format), None)
    return stored is None or (wanted.opset_max is not None and (stored.about.opset or 0) > wanted.opset_max)
