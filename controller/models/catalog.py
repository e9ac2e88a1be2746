"""The models that can be deployed, by name: shipped ones, made ones, those people added, those that could be made."""

import difflib
import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from broker.errors import ArtifactError, ConflictError, InvalidError, NotFoundError
from controller.models import untrained
from controller.models.analyze import analyze
from controller.models.facts import ModelFacts
from controller.models.listed import LABELS, Listed
from controller.models.manifest import FORMATS, About, Artifact, Variant
from controller.models.model import Model
from controller.models.naming import NAME, split
from controller.models.shipped import MODELS
from controller.models.store import ArtifactStore
from controller.models.versions import Version, meant, promoted, versions
from controller.workshop import imagenet

logger = logging.getLogger(__name__)

MAKERS: Mapping[str, Callable[[], bytes]] = {untrained.NAME: untrained.build, imagenet.NAME: imagenet.build}
"""Models that are made when somebody asks for them."""

QUICK = frozenset({untrained.NAME})
"""Of these, the ones made in less than a second."""


class Catalogue:
    """Names and facts over an artifact store; each file is read once."""

    def __init__(
        self, store: ArtifactStore, *, shipped: Path = MODELS, listed: Mapping[str, Listed] = MappingProxyType({})
    ) -> None:
        """Take the models in the folder `shipped` into `store`; those `listed` could be made."""
        self._store = store
        self._listed = listed
        self._unmade = tuple(_unmade(name, "fp32", each) for name, each in sorted(listed.items()))
        self._facts: dict[str, ModelFacts] = {}
        archived = {name for artifact in store.all() for name in artifact.archived}
        for path in sorted(shipped.glob("*.onnx")):
            if path.stem not in archived:
                store.add(path, model=path.stem)
        self.shipped = frozenset(path.stem for path in shipped.glob("*.onnx"))

    def all(self) -> list[Model]:
        """Return every model in the store by name; what is archived is left out, what cannot be read logged too."""
        known: defaultdict[str, list[Artifact]] = defaultdict(list)
        for artifact in self._store.all():
            for name in artifact.models:
                known[name].append(artifact)
        offered = sorted(name for name, mine in known.items() if any(name not in each.archived for each in mine))
        return [model for name in offered if (model := self._readable(name, known[name]))]

    def everything(self) -> list[Model]:
        """Return every model in the store by name and, after them, each that is only listed and not archived."""
        stored = self.all()
        taken = {model.name for model in stored}.union(*(artifact.archived for artifact in self._store.all()))
        return stored + [model for model in self._unmade if model.name not in taken]

    def get(self, name: str) -> Model:
        """Return the model called `name`, made now where that takes no second; one that is only listed has no artifact.

        Raises NotFoundError with the nearest names, ArtifactError when its files are damaged, ConflictError when it is
        archived.
        """
        if name in QUICK and not self._holds(name):
            return self.make(name)
        known = self._store.all()
        found = self._model(name, known)
        if found is not None:
            return found
        if any(name in artifact.archived for artifact in known):
            raise ConflictError(
                f"{name} is archived", code="archived", hint=f"edgewatt models archive {name} --undo brings it back"
            )
        listed = self._of_list(name)
        if listed is not None:
            return listed
        if any(name in artifact.models for artifact in known):
            hint = "restart the controller, which ships it" if name in self.shipped else "add it again"
            raise ArtifactError(f"the file of {name} is damaged in the store", code="damaged", hint=hint)
        raise NotFoundError(f"no model {name!r}", code="unknown_model", hint=self._hint(name))

    def of_version(self, version: Version) -> Model | None:
        """Return what a model is in one of its versions, None where no file of that is sound."""
        try:
            return self._of_sound(version.name, [each for each in version.artifacts if each.evicted_at is None])
        except ArtifactError:
            return None

    def could_be_made(self, artifact: Artifact) -> bool:
        """Return whether the workshop made `artifact` and could make it again; a person's own file is the only one."""
        return bool(artifact.about.made_by) and all(split(name)[0] in self._listed for name in artifact.models)

    def add(
        self, path: Path, *, name: str | None = None, facts: ModelFacts | None = None, about: About | None = None
    ) -> Model:
        """Take the file at `path` in as `name` (default: what the file calls itself, or its stem).

        `facts` are those of the file where they are known already; `about` is what its owner says of it. Raises
        ArtifactError for a file that is not sound, InvalidError for a name that cannot be one, ConflictError for the
        name of a shipped model.
        """
        facts = facts or analyze(path)
        name = name or facts.metadata.get("edgewatt.model") or path.stem
        if not NAME.fullmatch(name):
            raise InvalidError(f"{name!r} cannot be a model's name", hint="letters, digits, . _ -", field="model_name")
        if name in self.shipped:
            raise ConflictError(f"{name} is a model that EdgeWatt ships", hint="choose another name")
        artifact = self._store.add(path, model=name, format=facts.format, about=about)
        self._facts[artifact.sha256] = facts
        return _with_versions(self._of_artifacts(name, (artifact,)), self._store.all())

    def make(self, name: str) -> Model:
        """Return the model called `name`, made now if need be; NotFoundError for one that nobody can make."""
        if name not in MAKERS:
            raise NotFoundError(
                f"{name!r} cannot be made", code="unknown_model", hint=f"these can: {', '.join(MAKERS)}"
            )
        artifact = self._store.find(name) or self._store.add(MAKERS[name](), model=name)
        return _with_versions(self._of_artifacts(name, (artifact,)), self._store.all())

    def _holds(self, name: str) -> bool:
        return any(name in artifact.models for artifact in self._store.all())

    def _readable(self, name: str, known: Sequence[Artifact]) -> Model | None:
        try:
            return self._model(name, known)
        except ArtifactError as error:
            logger.warning("%s is left out of the catalogue: %s", name, error)
            return None

    def _model(self, name: str, known: Sequence[Artifact]) -> Model | None:
        """Return the model `name` with the newest sound artifact of each format, or None where there is none."""
        mine = [a for a in meant(name, known) if name not in a.archived]
        model = self._of_sound(name, mine)
        return _with_versions(model, known) if model else None

    def _of_sound(self, name: str, mine: Sequence[Artifact]) -> Model | None:
        sound: dict[str, Artifact] = {}
        damaged, unreadable = [], None
        for artifact in reversed(mine):
            if artifact.format in sound:
                continue
            if not self._store.is_sound(artifact.sha256):
                logger.warning("artifact %s of %s is damaged and not offered", artifact.sha256, name)
                damaged.append(artifact.sha256)
                continue
            try:
                self._read(artifact)
            except ArtifactError as error:
                unreadable = error
            else:
                sound[artifact.format] = artifact
        if not sound and unreadable is not None:
            raise unreadable
        return self._of_artifacts(name, sorted(sound.values(), key=_preference), tuple(damaged)) if sound else None

    def _read(self, artifact: Artifact) -> ModelFacts:
        if artifact.sha256 not in self._facts:
            self._facts[artifact.sha256] = analyze(self._store.path(artifact.sha256))
        return self._facts[artifact.sha256]

    def _of_artifacts(self, name: str, artifacts: Iterable[Artifact], damaged: tuple[str, ...] = ()) -> Model:
        told = tuple(replace(a, about=_completed(a.about, self._read(a))) for a in artifacts)
        preferred, facts = told[0], self._read(told[0])
        listed = self._listed.get(split(name)[0])
        top1_pct, top1_source = _accuracy(facts, preferred.about)
        return Model(
            name=name,
            artifacts=told,
            damaged=damaged,
            variant=preferred.about.variant,
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
            top1_pct=top1_pct,
            top1_source=top1_source,
            trained={"true": True, "false": False}.get(facts.metadata.get("edgewatt.trained", "")),
            source=facts.metadata.get("edgewatt.source") or preferred.about.source or "added by hand",
            labels=_length(facts.metadata.get("edgewatt.labels")),
            popular=name in self.shipped or name in MAKERS or bool(listed and listed.popular),
            family=listed.family if listed else None,
            gmacs_published=listed.gmacs_published if listed else None,
            note=listed.note or None if listed else None,
        )

    def _of_list(self, name: str) -> Model | None:
        base, variant = split(name)
        listed = self._listed.get(base)
        return _unmade(name, variant, listed) if listed else None

    def _hint(self, name: str) -> str:
        if name in MAKERS:
            return f"it can be made: python -m controller.models {name}"
        if any(name in artifact.models for artifact in self._store.evicted()):
            return "its file was removed to make room; add it again"
        stored = {n for artifact in self._store.all() for n in artifact.models}
        known = sorted(stored | set(MAKERS) | set(self._listed))
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        return f"did you mean {', '.join(near)}?" if near else "edgewatt models list shows what there is"


def _with_versions(model: Model, known: Iterable[Artifact]) -> Model:
    found = versions(model.name, known)
    version = promoted(found)
    return replace(model, versions=len(found), promoted_sha256=version.sha256 if version else None)


def _preference(artifact: Artifact) -> int:
    return FORMATS.index(artifact.format) if artifact.format in FORMATS else len(FORMATS)


def _completed(about: About, facts: ModelFacts) -> About:
    """Return `about` with what the maker left out and the file itself says."""
    return replace(
        about,
        variant=facts.variant if about.variant == "fp32" else about.variant,
        quantization=about.quantization or facts.quantization,
        opset=about.opset or facts.opset,
        ir_version=about.ir_version or facts.ir_version,
    )


def _unmade(name: str, variant: Variant, listed: Listed) -> Model:
    """Return a model that nobody has made yet; what its variant loses in accuracy is not known before."""
    return Model(
        name=name,
        variant=variant,
        size_mb=None,
        params_m=listed.params_m,
        gmacs=listed.gmacs,
        macts_m=listed.macts_m,
        dw_gmacs=listed.dw_gmacs,
        n_convs=listed.n_convs,
        quantized=variant == "int8",
        opset=None,
        input_shape=(1, 3, listed.input_res, listed.input_res),
        input_res=listed.input_res,
        top1_pct=listed.top1_pct if variant == "fp32" else None,
        trained=None if listed.pretrained else False,
        source=f"timm {listed.weights}",
        labels=LABELS,
        popular=listed.popular,
        family=listed.family,
        top1_source=listed.top1_source if variant == "fp32" else None,
        gmacs_published=listed.gmacs_published,
        note=listed.note or None,
    )


def _accuracy(facts: ModelFacts, about: About) -> tuple[float | None, str | None]:
    """Return top-1 in % and who says so: the file itself before its owner."""
    told = _number(facts.metadata.get("edgewatt.top1_pct"))
    if told is not None:
        return told, "its file"
    return (None, None) if about.top1_pct is None else (about.top1_pct, "its owner")


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
