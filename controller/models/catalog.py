"""The models that can be deployed, by name: shipped ones, made ones and those people added."""

import difflib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from broker.errors import ArtifactError, ConflictError, InvalidError, NotFoundError
from controller.models import imagenet, untrained
from controller.models.analyze import ModelFacts, analyze
from controller.models.manifest import Artifact
from controller.models.naming import NAME
from controller.models.shipped import MODELS
from controller.models.store import ArtifactStore
from controller.predict.features import Features

logger = logging.getLogger(__name__)

MAKERS: Mapping[str, Callable[[], bytes]] = {untrained.NAME: untrained.build, imagenet.NAME: imagenet.build}
"""Models that are made when somebody asks for them."""

QUICK = frozenset({untrained.NAME})
"""Of these, the ones made in less than a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as people see it: what it is, what it computes, and the artifact that holds it.

    `size` in bytes, `size_mb` in 10^6 bytes, `top1_pct` on held-out data and None where nobody measured it, `trained`
    None where the file does not say.
    """

    name: str
    format: str
    variant: str
    artifact_sha256: str
    size: int
    size_mb: float
    params_m: float
    gmacs: float
    macts_m: float | None
    dw_gmacs: float
    n_convs: int
    quantized: bool
    opset: int
    input_shape: tuple[int, ...]
    input_res: int | None
    top1_pct: float | None
    trained: bool | None
    source: str
    labels: int
    popular: bool

    @property
    def features(self) -> Features:
        """What a predictor asks about this model."""
        return Features(
            params_m=self.params_m,
            gmacs=self.gmacs,
            size_mb=self.size_mb,
            macts_m=self.macts_m,
            input_res=self.input_res,
            quantized=self.quantized,
            dw_gmacs=self.dw_gmacs,
            n_convs=self.n_convs,
        )


class Catalogue:
    """Names and facts over an artifact store; each file is read once."""

    def __init__(self, store: ArtifactStore, *, shipped: Path = MODELS) -> None:
        """Take the models in the folder `shipped` into `store`."""
        self._store = store
        self._facts: dict[str, ModelFacts] = {}
        for path in sorted(shipped.glob("*.onnx")):
            store.add(path, model=path.stem)
        self._shipped = frozenset(path.stem for path in shipped.glob("*.onnx"))

    def all(self) -> list[Model]:
        """Return every model by name, each in its newest sound artifact; what cannot be read is logged and left out."""
        names = sorted({name for artifact in self._store.all() for name in artifact.models})
        found = ((name, self._store.find(name)) for name in names)
        return [model for name, artifact in found if artifact and (model := self._readable(name, artifact))]

    def page(self, *, limit: int = 100, offset: int = 0, q: str = "") -> tuple[int, list[Model]]:
        """Return how many names contain `q` (any case), and `limit` of them from `offset` on.

        Raises InvalidError for a negative limit or offset.
        """
        if limit < 0 or offset < 0:
            raise InvalidError("limit and offset must not be negative", hint="limit=100&offset=0", field="limit")
        matching = [model for model in self.all() if q.lower() in model.name.lower()]
        return len(matching), matching[offset : offset + limit]

    def get(self, name: str) -> Model:
        """Return the model called `name`, made now where that takes no second.

        Raises NotFoundError with the nearest names, ArtifactError when its file is damaged.
        """
        if name in QUICK:
            return self.make(name)
        artifact = self._store.find(name)
        if artifact is None and any(name in known.models for known in self._store.all()):
            hint = "restart the controller, which ships it" if name in self._shipped else "add it again"
            raise ArtifactError(f"the file of {name} is damaged in the store", code="damaged", hint=hint)
        if artifact is None:
            raise NotFoundError(f"no model {name!r}", code="unknown_model", hint=self._hint(name))
        return self._model(name, artifact)

    def add(self, path: Path, *, name: str | None = None) -> Model:
        """Take the ONNX file at `path` in as `name` (default: what the file calls itself, or its stem).

        Raises ArtifactError for a file that is not sound, InvalidError for a name that cannot be one, ConflictError
        for the name of a shipped model.
        """
        facts = analyze(path)
        name = name or facts.metadata.get("edgewatt.model") or path.stem
        if not NAME.fullmatch(name):
            raise InvalidError(f"{name!r} cannot be a model's name", hint="letters, digits, . _ -", field="model_name")
        if name in self._shipped:
            raise ConflictError(f"{name} is a model that EdgeWatt ships", hint="choose another name")
        return self._model(name, self._store.add(path, model=name))

    def make(self, name: str) -> Model:
        """Return the model called `name`, made now if need be; NotFoundError for one that nobody can make."""
        if name not in MAKERS:
            raise NotFoundError(
                f"{name!r} cannot be made", code="unknown_model", hint=f"these can: {', '.join(MAKERS)}"
            )
        artifact = self._store.find(name) or self._store.add(MAKERS[name](), model=name)
        return self._model(name, artifact)

    def _readable(self, name: str, artifact: Artifact) -> Model | None:
        try:
            return self._model(name, artifact)
        except ArtifactError as error:
            logger.warning("%s is left out of the catalogue: %s", name, error)
            return None

    def _model(self, name: str, artifact: Artifact) -> Model:
        if artifact.sha256 not in self._facts:
            self._facts[artifact.sha256] = analyze(self._store.path(artifact.sha256))
        facts = self._facts[artifact.sha256]
        return Model(
            name=name,
            format=artifact.format,
            variant="int8" if facts.quantized else "fp32",
            artifact_sha256=artifact.sha256,
            size=artifact.size,
            size_mb=facts.size_mb,
            params_m=facts.params / 1e6,
            gmacs=facts.macs / 1e9,
            macts_m=facts.activations / 1e6 or None,
            dw_gmacs=facts.depthwise_macs / 1e9,
            n_convs=facts.convs,
            quantized=facts.quantized,
            opset=facts.opset,
            input_shape=facts.input_shape,
            input_res=facts.input_res or None,
            top1_pct=_number(facts.metadata.get("edgewatt.top1_pct")),
            trained={"true": True, "false": False}.get(facts.metadata.get("edgewatt.trained", "")),
            source=facts.metadata.get("edgewatt.source", "added by hand"),
            labels=_length(facts.metadata.get("edgewatt.labels")),
            popular=name in self._shipped or name in MAKERS,
        )

    def _hint(self, name: str) -> str:
        if name in MAKERS:
            return f"it can be made: python -m controller.models {name}"
        known = sorted({n for artifact in self._store.all() for n in artifact.models} | set(MAKERS))
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        return f"did you mean {', '.join(near)}?" if near else "edgewatt models list shows what there is"


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _length(text: str | None) -> int:
    try:
        document = json.loads(text or "[]")
    except ValueError:
        return 0
    return len(document) if isinstance(document, list) else 0
