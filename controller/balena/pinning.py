"""Decides whether a release may be pinned, and what that changes; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from broker.errors import ConflictError, InvalidError, NotFoundError
from controller.balena import questions
from controller.balena.questions import Write

Row = dict[str, Any]

SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """Who asks for which release on one device or one whole fleet."""

    release_id: int
    device_uuid: str | None = None
    app_slug: str | None = None

    def __post_init__(self) -> None:
        """Refuse a pin of nothing, or of two things."""
        if (self.device_uuid is None) == (self.app_slug is None):
            hint = "one of device_uuid and app_slug; a fleet is never meant by leaving both out"
            raise InvalidError("say what the release is for", hint=hint, field="device_uuid")
        if not 0 < self.release_id < 2**53:
            raise InvalidError(f"{self.release_id} is no id of a release", field="release_id")
        if self.device_uuid is not None:
            questions.known_uuid(self.device_uuid)
        if self.app_slug is not None:
            questions.known_slug(self.app_slug)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a pin comes to: `devices` will have another release to run, `kept` are pinned themselves and stay."""

    target: str
    name: str
    fleet: str
    release: Row
    before: Row | None
    devices: Sequence[Row]
    kept: int
    write: Write | None

    @property
    def sentence(self) -> str:
        """What is done, for the log and for people."""
        what = f"release {self.release['name']} ({self.release['id']})"
        if self.write is None:
            return f"{self.name} is on {what} already"
        before = f", before {self.before['name']}" if self.before and self.before["id"] != self.release["id"] else ""
        whom = "" if self.target == "device" else f" for {len(self.devices)} devices"
        return f"{what} pinned on the {self.target} {self.name}{whom}{before}"

    @property
    def document(self) -> Row:
        """The plan as REST answers it."""
        names = ("target", "name", "fleet", "release", "before", "kept")
        devices = [{"uuid": each["uuid"], "name": each["name"]} for each in self.devices]
        return {name: getattr(self, name) for name in names} | {
            "devices": devices,
            "changed": self.write is not None,
            "message": self.sentence,
        }


def for_device(release: Row, device: Row) -> Plan:
    """Return what pinning a device comes to; nothing where it is pinned there already."""
    there = (device["pinned"] or {}).get("id") == release["id"]
    return Plan(
        target="device",
        name=str(device["name"] or device["uuid"]),
        fleet=str(device["fleet"]),
        release=release,
        before=device["should_run"],
        devices=() if there else (device,),
        kept=0,
        write=None if there else questions.pin_device(device["uuid"], release["id"]),
    )


def for_fleet(release: Row, fleet: Row, devices: Sequence[Row]) -> Plan:
    """Return what pinning a fleet comes to; nothing where it stays on that release already."""
    there = (fleet["should_run"] or {}).get("id") == release["id"] and fleet["tracks_latest"] is False
    follow = [each for each in devices if each["pinned"] is None]
    return Plan(
        target="fleet",
        name=fleet["slug"],
        fleet=fleet["slug"],
        release=release,
        before=fleet["should_run"],
        devices=() if there else follow,
        kept=len(devices) - len(follow),
        write=None if there else questions.pin_fleet(fleet["slug"], release["id"]),
    )


def check(release_id: int, release: Row | None, fleet: str, newest: Sequence[Row]) -> Row:
    """Return the release where it may be pinned in `fleet`; `newest` are those that may, newest first.

    Raises NotFoundError or ConflictError.
    """
    told = ", ".join(f"{each['id']} ({each['name']})" for each in newest[:SHOWN])
    hint = f"the newest of {fleet} that may be pinned: {told}" if told else f"{fleet} has no successful release yet"
    if release is None:
        raise NotFoundError(f"no balena release {release_id}", code="unknown_release", hint=hint)
    if release["fleet"] != fleet:
        raise ConflictError(
            f"release {release_id} is of {release['fleet']}, not of {fleet}", code="foreign_release", hint=hint
        )
    if release["status"] != "success" or release["invalidated"]:
        state = "invalidated" if release["invalidated"] else f"'{release['status']}'"
        said = f"release {release_id} ({release['name']}) is {state}; only successful releases are pinned"
        raise ConflictError(said, code="release_not_successful", hint=hint)
    return release
