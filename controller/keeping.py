"""Keeps the artifact store within its quota, and knows where each artifact is in use."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from broker.errors import ConflictError, NotFoundError, StorageError
from controller.models.catalog import Catalogue
from controller.models.manifest import Artifact
from controller.models.quota import Holding, evictions, total_bytes
from controller.models.store import ArtifactStore
from controller.models.versions import SHORT, promoted, versions
from controller.records import Deployments
from controller.storage.store import Store

MB = 1_000_000
LOOK_EVERY_S = 60.0
FRESH_S = 600.0
"""What was added or sent in the last minutes may be waited for by a deployment or a benchmark."""

NAMED = 3
"""How many places one sentence names."""


@dataclass(slots=True, kw_only=True)
class Keeping:
    """What of the store may go: nothing that a device has or is to get, is promoted, is shipped, or only a person has.

    A person's own file may go once it is archived; what the workshop made may always go, it can make it again.
    """

    store: Store
    deployments: Deployments
    artifacts: ArtifactStore
    catalogue: Catalogue
    quota_mb: float
    _gone: deque[Artifact] = field(default_factory=deque)
    _adds: int = -1
    _looked_at: float = 0.0

    def tick(self, at: float) -> None:
        """Evict what is above the quota, at once after something was added, and say what went; inside a transaction."""
        if self._adds != self.artifacts.adds or at - self._looked_at >= LOOK_EVERY_S:
            self._adds, self._looked_at = self.artifacts.adds, at
            self._evict(int(self.quota_mb * MB), at)
        while self._gone:
            artifact = self._gone.popleft()
            names = ", ".join(artifact.models)
            facts = {"sha256": artifact.sha256, "size": artifact.size, "models": list(artifact.models)}
            text = f"{names} ({artifact.format}, {artifact.size / MB:.1f} MB) left the store to make room"
            self.store.add_event(at, "storage", text, facts=facts)

    def free(self, needed_bytes: int, at: float) -> None:
        """Evict at least `needed_bytes` for what is about to be added; StorageError with what holds the space."""
        holdings = self._holdings(at)
        gone = self._evict(total_bytes(holdings) - needed_bytes, at)
        if sum(artifact.size for artifact in gone) < needed_bytes:
            kept = [holding for holding in holdings if not holding.spare]
            raise StorageError(
                f"the disk is full, and of the {len(holdings)} artifacts in the store {len(kept)}"
                f" ({total_bytes(kept) / MB:.0f} MB) are in use or kept on purpose",
                hint="`edgewatt models archive NAME` lets the store give one up; or free some disk space",
            )

    def archive(self, model: str, who: str, at: float, *, undo: bool = False) -> None:
        """Put `model` away, or bring it back. Raises NotFoundError, ConflictError while it is promoted or in use."""
        artifacts = [each for each in self.artifacts.all() if model in each.models]
        if not artifacts:
            raise NotFoundError(
                f"{model[:80]!r} is not in the store", code="no_artifact", hint="edgewatt models list shows what is"
            )
        version = promoted(versions(model, artifacts))
        if version is not None and not undo:
            raise ConflictError(
                f"{model} is promoted: its name means version {version.sha256[:SHORT]}",
                code="promoted",
                hint=f"edgewatt models promote {model} --undo takes that back first",
            )
        used = self.uses()
        places = sorted({place for each in artifacts for place in used.get(each.sha256, ())})
        if places and not undo:
            more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
            raise ConflictError(
                f"{model} is in use: {', '.join(places[:NAMED])}{more}",
                code="in_use",
                hint="deploy another model there first",
            )
        for artifact in artifacts:
            self.artifacts.archive(artifact.sha256, model, undo=undo)
        text = f"{model} {'brought back from the archive' if undo else 'archived'}"
        self.store.add_event(at, "storage", text, who=who, facts={"model": model})

    def uses(self) -> Mapping[str, tuple[str, ...]]:
        """Return where each artifact is in use, in words, by its SHA-256."""
        found: dict[str, list[str]] = defaultdict(list)
        state, desired = msgspec.json.Decoder(_State), msgspec.json.Decoder(_Desired)
        for device_id, said, wanted in self.store.connection.execute("SELECT id, state, desired FROM devices"):
            slots = _slots(state.decode(said or "{}"), desired.decode(wanted or "{}"))
            for sha256, place in slots:
                found[sha256].append(f"{device_id} {place}")
        for deployment in self.deployments.find(open_only=True, limit=1_000_000):
            if deployment.artifact is not None:
                found[deployment.artifact.sha256].append(f"it is being deployed to {deployment.device_id}")
        return {sha256: tuple(places) for sha256, places in found.items()}

    def _evict(self, most_bytes: int, at: float) -> list[Artifact]:
        if sum(each.size for each in self.artifacts.all()) <= most_bytes:
            return []
        chosen = evictions(self._holdings(at), most_bytes)
        gone = [self.artifacts.evict(holding.sha256, at) for holding in chosen]
        self._gone.extend(gone)
        return gone

    def _holdings(self, at: float) -> list[Holding]:
        used, holdings = self.uses(), []
        for each in self.artifacts.all():
            used_at = max(each.created_at, each.deployed_at or 0.0)
            spare = each.sha256 not in used and at - used_at >= FRESH_S and self._spare(each)
            holdings.append(Holding(sha256=each.sha256, size=each.size, used_at=used_at, spare=spare))
        return holdings

    def _spare(self, artifact: Artifact) -> bool:
        if self.catalogue.shipped.intersection(artifact.models):
            return False
        if artifact.promoted:
            return False
        return set(artifact.models) <= set(artifact.archived) or self.catalogue.could_be_made(artifact)


class _Held(msgspec.Struct):
    artifact_sha256: str | None = None


class _State(msgspec.Struct):
    """What a device's state says of the files that it has."""

    active: _Held | None = None
    previous: _Held | None = None


class _File(msgspec.Struct):
    sha256: str | None = None


class _Order(msgspec.Struct):
    artifact: _File | None = None


class _Desired(msgspec.Struct):
    """What a device should be says of the file that it is to get."""

    deploy: _Order | None = None


def _slots(state: _State, desired: _Desired) -> list[tuple[str, str]]:
    """Return the files that a device has or is to get, each with what it does with it."""
    wanted = desired.deploy.artifact if desired.deploy else None
    slots = (
        (state.active and state.active.artifact_sha256, "runs it"),
        (state.previous and state.previous.artifact_sha256, "keeps it to fall back on"),
        (wanted and wanted.sha256, "is to run it"),
    )
    return [(sha256, place) for sha256, place in slots if sha256]
