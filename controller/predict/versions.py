"""The predictors of one installation: the one that came with it, those trained since, and which of them answers."""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from broker.errors import ArtifactError, InvalidError, NotFoundError
from controller.models.shipped import ARTIFACTS
from controller.predict.predictor import FILES, FleetPredictor

FOLDER = "predictors"
"""Below the controller's data folder."""

SHIPPED = "shipped"
ACTIVE = "active"
ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A predictor that can be used; `trained_at` is None for the one that came with EdgeWatt."""

    id: str
    folder: Path
    active: bool
    trained_at: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """The predictors below `folder`, which need not exist; `active` in it names the one that answers, and by whom."""

    folder: Path

    @property
    def active(self) -> str:
        """The id of the one that answers."""
        named = self._chosen[0]
        return named if named == SHIPPED or ID.fullmatch(named) else SHIPPED

    @property
    def chosen_by(self) -> str:
        """Who chose the one that answers: cli or controller."""
        return self._chosen[1]

    @property
    def chosen_at(self) -> float:
        """When the one that answers was chosen, Unix s; 0 when nobody ever chose."""
        try:
            return (self.folder / ACTIVE).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def active_folder(self) -> Path:
        """Return where the files of the active one lie, for `FleetPredictor.load`."""
        return self._where(self.active)

    def all(self) -> list[Version]:
        """Return every version: the shipped one, then the trained ones in the order of their training."""
        trained = [self._version(path.name) for path in self.folder.glob("*") if ID.fullmatch(path.name)]
        return [self._version(SHIPPED), *sorted(trained, key=lambda version: version.trained_at or "")]

    def add(self, folder: Path) -> str:
        """Keep what training wrote into `folder`; return its id, which names its content. ArtifactError if damaged."""
        FleetPredictor.load(folder)
        named = str(json.loads((folder / FILES.manifest).read_text("utf-8"))[FILES.predictor])[:12]
        home = self.folder / named
        if not home.exists():
            coming = self.folder / f".{named}.{os.getpid()}"
            shutil.copytree(folder, coming)
            coming.rename(home)
        return named

    def use(self, named: str, *, who: str = "controller") -> Path:
        """Let `named` answer from now on because `who` says so; return its folder.

        NotFoundError when there is none, ArtifactError when its files are not those that training wrote.
        """
        if named != SHIPPED and not (ID.fullmatch(named) and (self.folder / named).is_dir()):
            known = ", ".join(version.id for version in self.all())
            raise NotFoundError(f"there is no predictor '{named}'", code="unknown_predictor", hint=f"known: {known}")
        FleetPredictor.load(self._where(named))
        self.folder.mkdir(parents=True, exist_ok=True)
        coming = self.folder / f".{ACTIVE}"
        coming.write_text(f"{named} {who}\n", "utf-8")
        coming.replace(self.folder / ACTIVE)
        return self._where(named)

    @property
    def _chosen(self) -> tuple[str, str]:
        """Return the id and who chose it, as they are written in `active`."""
        try:
            words = (self.folder / ACTIVE).read_text("utf-8").split()
        except FileNotFoundError:
            words = []
        return words[0] if words else SHIPPED, words[1] if len(words) > 1 else "controller"

    def _version(self, named: str) -> Version:
        where = self._where(named)
        try:
            metadata = json.loads((where / FILES.metadata).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{where} is damaged: {error}", hint="remove the folder or train again") from None
        if not isinstance(metadata, dict):
            raise InvalidError(f"{where / FILES.metadata} is no object", field="metadata")
        active = named == self.active
        return Version(id=named, folder=where, active=active, trained_at=metadata.get("trained_at"), metadata=metadata)

    def _where(self, named: str) -> Path:
        return ARTIFACTS if named == SHIPPED else self.folder / named
