"""The versions of a model: a file that somebody added with all that was made from it, and which one its name means."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from broker.errors import InvalidError, NotFoundError
from controller.models.manifest import Artifact

SHORT = 8
"""How much of a SHA-256 tells a person which version is meant."""

_DIGEST = re.compile(r"[0-9a-f]{64}")

LEAST = 4
"""How much of it has to be given at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of the model `name`: its files in the order in which they came, one or more of each format.

    `number` counts from 1 for the oldest; the first file's SHA-256 is what it is called by.
    """

    name: str
    number: int
    artifacts: tuple[Artifact, ...]

    @property
    def sha256(self) -> str:
        """What it is called by."""
        return self.artifacts[0].sha256

    @property
    def created_at(self) -> float:
        """When its first file came, Unix s."""
        return self.artifacts[0].created_at

    @property
    def digests(self) -> frozenset[str]:
        """The SHA-256 of each of its files: what was measured with one of them was measured with it."""
        return frozenset(artifact.sha256 for artifact in self.artifacts)

    @property
    def promoted_at(self) -> float | None:
        """When it was last promoted, Unix s."""
        return max((at for each in self.artifacts if (at := each.promoted.get(self.name))), default=None)

    @property
    def archived(self) -> bool:
        """Whether it is put away."""
        return all(self.name in artifact.archived for artifact in self.artifacts)


def versions(name: str, artifacts: Iterable[Artifact]) -> tuple[Version, ...]:
    """Return the versions of the model `name`, oldest first, of `artifacts` in the order in which they came.

    What was made from a file is of that file's version; of what was made before that was noted, it is the newest then.
    """
    groups: dict[str, list[Artifact]] = {}
    for artifact in artifacts:
        if name in artifact.models:
            groups.setdefault(_root(artifact, groups), []).append(artifact)
    return tuple(
        Version(name=name, number=number, artifacts=tuple(found))
        for number, found in enumerate(groups.values(), start=1)
    )


def promoted(found: Iterable[Version]) -> Version | None:
    """Return which of the versions of a model was promoted last, None where the newest files are what is meant."""
    return max((each for each in found if each.promoted_at), key=lambda each: each.promoted_at or 0.0, default=None)


def meant(name: str, artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Return which of `artifacts`, in the order in which they came, the bare name means: all where none is promoted."""
    mine = [artifact for artifact in artifacts if name in artifact.models]
    if not any(artifact.promoted.get(name) for artifact in mine):
        return mine
    version = promoted(versions(name, mine))
    return mine if version is None else list(version.artifacts)


def named(found: Sequence[Version], digits: str) -> Version:
    """Return which of the versions `digits`, the beginning of a SHA-256 of one of its files, means.

    Raises NotFoundError, InvalidError for what is too short or means several.
    """
    wanted = digits.strip().lower()
    if len(wanted) < LEAST:
        hint = "`edgewatt models versions NAME` shows them"
        raise InvalidError(f"'{digits[:80]}' is too short to name a version", hint=hint, field="version")
    fits = [each for each in found if any(sha256.startswith(wanted) for sha256 in each.digests)]
    known = ", ".join(each.sha256[:SHORT] for each in found)
    if not fits:
        name = found[0].name if found else ""
        what = f"{name} has no version '{digits[:80]}'"
        raise NotFoundError(what, code="unknown_version", hint=f"its versions: {known}")
    if len(fits) > 1:
        raise InvalidError(f"'{digits[:80]}' begins several versions", hint=f"give more of: {known}", field="version")
    return fits[0]


def _root(artifact: Artifact, before: dict[str, list[Artifact]]) -> str:
    if not artifact.about.made_by:
        return artifact.sha256
    origin = artifact.about.made_from
    if origin is None:
        return next(reversed(before), artifact.sha256)
    if origin in before or _DIGEST.fullmatch(origin):
        return origin
    unnoted = [root for root, found in before.items() if found[0].about.made_by and found[0].about.made_from is None]
    return unnoted[-1] if unnoted else origin  # the same network, made before its name was noted
