"""Holds models by their SHA-256, and says which one is active and which one came before."""

import json
import shutil
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

from broker.commands import ArtifactRef
from broker.errors import ArtifactError, WireError
from broker.messages import ActiveModel
from broker.wire import decode, encode
from edge_agent.files import storage_error, sync, sync_folder, write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A model on disk, and the budget it was deployed under."""

    model: ActiveModel
    format: str = "onnx"
    budget_mj: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What the device runs, what it falls back on, its generation, and whether a person stopped it.

    `former` is the same content as `active` under the deployment before, when a file was deployed once more. `older`
    are the contents that were active before `previous`, the newest first.
    """

    active: Held | None = None
    previous: Held | None = None
    former: Held | None = None
    older: tuple[str, ...] = ()
    gen: int = 0
    stopped: bool = False
    desired_gen: int = 0


class ModelStore:
    """`<root>/sha256/<hash>/model.<format>`, `<root>/parts/<hash>.part` and `<root>/slots.json`."""

    def __init__(self, root: Path) -> None:
        """Open `root`; damaged slots are empty slots, set aside for a person to see."""
        self.root = root
        self._parts = root / "parts"
        self._content = root / "sha256"
        self._parts.mkdir(parents=True, exist_ok=True)
        self._content.mkdir(parents=True, exist_ok=True)
        self._slots = self._read_slots()

    @property
    def slots(self) -> Slots:
        """What is active now."""
        return self._slots

    def put(self, slots: Slots) -> None:
        """Make `slots` the truth, in one rename."""
        write_whole(self.root / "slots.json", encode(slots))
        self._slots = slots

    def activate(self, held: Held) -> None:
        """Make `held` active and keep the former as previous; doing it twice changes nothing."""
        now, before = self._slots, self._slots.active
        if before is not None and before.model.deployment_id == held.model.deployment_id:
            self.put(replace(now, active=held, stopped=False))
        elif before is not None and before.model.artifact_sha256 == held.model.artifact_sha256:
            self.put(replace(now, active=held, former=before, stopped=False))
        else:
            self.put(replace(now, active=held, previous=before, former=None, stopped=False, older=self._aged()))

    def fall_back(self) -> Held | None:
        """Make active what was before, if anything was, and return it; what was active is not kept as previous."""
        now = self._slots
        if now.former is not None:
            self.put(replace(now, active=now.former, former=None))
        else:
            self.put(replace(now, active=now.previous, previous=None))
        return self._slots.active

    def swap_back(self) -> Held | None:
        """Exchange active and previous, and return what is active now."""
        self.put(replace(self._slots, active=self._slots.previous, previous=self._slots.active, former=None))
        return self._slots.active

    def undeploy(self) -> None:
        """Make nothing active; what was active is the previous."""
        now = self._slots
        if now.active is not None:
            self.put(replace(now, active=None, previous=now.active, former=None, older=self._aged()))

    def set_stopped(self, stopped: bool) -> None:
        """Remember that a person wants the active model to rest."""
        self.put(replace(self._slots, stopped=stopped))

    def raise_gen(self, gen: int | None) -> None:
        """Remember the highest generation that was accepted."""
        if gen is not None and gen > self._slots.gen:
            self.put(replace(self._slots, gen=gen))

    def path(self, sha256: str, form: str) -> Path:
        """Return where the content is or will be."""
        return self._content / _checked(sha256) / f"model.{_word(form)}"

    def part(self, sha256: str) -> Path:
        """Return where a download grows."""
        return self._parts / f"{_checked(sha256)}.part"

    def has(self, ref: ArtifactRef) -> bool:
        """Whether the whole content is here, by size; `verify` reads it."""
        path = self.path(ref.sha256, ref.format)
        return path.is_file() and path.stat().st_size == ref.size

    def commit(self, ref: ArtifactRef) -> Path:
        """Move a verified part to its place; raises StorageError."""
        part, path = self.part(ref.sha256), self.path(ref.sha256, ref.format)
        try:
            path.parent.mkdir(exist_ok=True)
            with part.open("rb") as file:
                sync(file.fileno())
            part.replace(path)
            sync_folder(path.parent)
            sync_folder(self._content)
        except OSError as error:
            raise storage_error(error, path) from error
        return path

    def remove(self, sha256: str) -> None:
        """Forget a content that nobody holds, with its parts; a held one stays."""
        if sha256 not in self._held():
            shutil.rmtree(self._content / _checked(sha256), ignore_errors=True)
        self.drop_part(sha256)

    def drop_part(self, sha256: str) -> None:
        """Forget what was downloaded of a content."""
        for path in self._parts.glob(f"{_checked(sha256)}.part*"):
            path.unlink(missing_ok=True)

    def collect(self, *, needed: Iterable[str] = (), among: Container[str] | None = None, keep_bytes: int = 0) -> None:
        """Remove every content and part, or those `among` some, that are neither held nor `needed`.

        Of the older contents the newest stay, as long as they have no more than `keep_bytes`.
        """
        kept = self._held() | set(needed) | self._older_within(keep_bytes)
        for path in (*self._content.iterdir(), *self._parts.iterdir()):
            sha256 = path.name.partition(".")[0]
            if sha256 in kept or (among is not None and sha256 not in among):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def drop_oldest(self, *, but: Container[str]) -> bool:
        """Remove the oldest content that is kept besides those held and `but` some; return whether one was."""
        held = self._held()
        for sha256 in reversed(self._slots.older):
            path = self._content / sha256
            if sha256 not in held and sha256 not in but and path.exists():
                shutil.rmtree(path, ignore_errors=True)
                return not path.exists()
        return False

    def _aged(self) -> tuple[str, ...]:
        """Return the older contents when the previous one becomes one of them; those that are gone are forgotten."""
        previous = self._slots.previous
        newest = (previous.model.artifact_sha256,) if previous is not None else ()
        there = (sha256 for sha256 in (*newest, *self._slots.older) if (self._content / sha256).exists())
        return tuple(dict.fromkeys(there))

    def _older_within(self, keep_bytes: int) -> set[str]:
        kept: set[str] = set()
        left = keep_bytes
        for sha256 in self._slots.older:
            if sha256 in self._held():
                continue
            left -= sum(path.stat().st_size for path in (self._content / sha256).glob("*"))
            if left < 0:
                break
            kept.add(sha256)
        return kept

    def _held(self) -> set[str]:
        both = (self._slots.active, self._slots.previous)
        return {held.model.artifact_sha256 for held in both if held is not None}

    def _read_slots(self) -> Slots:
        path = self.root / "slots.json"
        try:
            return decode(Slots, path.read_bytes())
        except FileNotFoundError:
            return Slots()
        except (WireError, json.JSONDecodeError):
            path.replace(path.with_suffix(".damaged"))
            return Slots()


def verify(path: Path, ref: ArtifactRef) -> None:
    """Check that `path` is what `ref` promises; raises ArtifactError (`size_mismatch`, `hash_mismatch`)."""
    size = path.stat().st_size
    if size != ref.size:
        raise ArtifactError(f"the artifact has {size} bytes instead of {ref.size}", code="size_mismatch")
    with path.open("rb") as file:
        found = file_digest(file, "sha256").hexdigest()
    if found != ref.sha256.lower():
        raise ArtifactError(
            f"the artifact's SHA-256 is {found[:12]}… instead of {ref.sha256[:12]}…",
            code="hash_mismatch",
            hint="the file on the server is not the one that was promised",
        )


def _checked(sha256: str) -> str:
    low = sha256.lower()
    if len(low) != 64 or not set(low) <= set("0123456789abcdef"):  # noqa: PLR2004 - hex digits of a SHA-256
        raise ArtifactError(f"'{sha256[:80]}' is no SHA-256", code="bad_artifact")
    return low


def _word(form: str) -> str:
    if not form.isalnum() or len(form) > 16:  # noqa: PLR2004 - a file suffix, not a text
        raise ArtifactError(f"'{form[:40]}' is no format", code="bad_artifact")
    return form
