"""What is asked of balena's API v7, and all that may be written there; pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from broker.errors import InvalidError

UUID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{62}")
SLUG = re.compile(r"[a-z0-9_-]{1,100}/[a-z0-9_-]{1,100}")
MOST_LINES = 1_000
"""As many lines as balena keeps of a device."""

RELEASE = "id,commit,raw_version,status,is_invalidated,created_at"
_ON_BOARD = "id,commit,raw_version"
DEVICE = (
    "uuid,device_name,status,overall_status,is_online,last_connectivity_event,ip_address,os_version,"
    "supervisor_version,cpu_temp,is_undervolted"
)
_OF_DEVICE = ",".join(
    (
        "belongs_to__application($select=slug)",
        "is_of__device_type($select=slug)",
        *(f"{name}__release($select={_ON_BOARD})" for name in ("is_running", "should_be_running", "is_pinned_on")),
    )
)

Resource = Literal["device", "application"]


def known_uuid(text: str) -> str:
    """Return a device's full uuid in lower case. Raises InvalidError for anything else."""
    if not UUID.fullmatch(uuid := text.strip().lower()):
        hint = "32 or 62 characters of 0-9 and a-f; `edgewatt balena devices` lists them"
        raise InvalidError(f"'{text[:80]}' is no uuid of a balena device", hint=hint, field="device_uuid")
    return uuid


def known_slug(text: str) -> str:
    """Return a fleet's slug in lower case. Raises InvalidError for anything else."""
    if not SLUG.fullmatch(slug := text.strip().lower()):
        hint = "organization/fleet, as in the fleet's address on balena's dashboard"
        raise InvalidError(f"'{text[:80]}' is no slug of a balena fleet", hint=hint, field="app_slug")
    return slug


def quoted(text: str) -> str:
    """Return a text as OData writes it."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A GET: its path and its query."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)


def devices(slug: str) -> Question:
    """Ask for all devices of a fleet, by name."""
    query = {"$filter": _of_fleet(slug), "$select": DEVICE, "$expand": _OF_DEVICE, "$orderby": "device_name asc"}
    return Question(path="/v7/device", query=query)


def device(uuid: str) -> Question:
    """Ask for one device."""
    return Question(
        path=f"/v7/device(uuid={quoted(known_uuid(uuid))})", query={"$select": DEVICE, "$expand": _OF_DEVICE}
    )


def fleet(slug: str) -> Question:
    """Ask for one fleet and the release that it should run."""
    query = {
        "$select": "slug,app_name,should_track_latest_release",
        "$expand": f"should_be_running__release($select={_ON_BOARD})",
    }
    return Question(path=f"/v7/application(slug={quoted(known_slug(slug))})", query=query)


def releases(slug: str, limit: int, *, successful: bool = False) -> Question:
    """Ask for the newest releases of a fleet, or for those among them that may be pinned."""
    may_be_pinned = " and status eq 'success' and is_invalidated eq false" if successful else ""
    query = {"$filter": _of_fleet(slug) + may_be_pinned, "$select": RELEASE}
    return Question(path="/v7/release", query=query | {"$orderby": "created_at desc", "$top": str(limit)})


def release(release_id: int) -> Question:
    """Ask for one release and the fleet that it is of."""
    query = {"$select": RELEASE, "$expand": "belongs_to__application($select=slug)"}
    return Question(path=f"/v7/release({release_id:d})", query=query)


def logs(uuid: str, limit: int) -> Question:
    """Ask for a device's newest lines; this path has no version, and its answer no envelope."""
    return Question(path=f"/device/v2/{known_uuid(uuid)}/logs", query={"count": str(limit)})


_KEYS: dict[Resource, tuple[str, Callable[[str], str]]] = {
    "device": ("uuid", known_uuid),
    "application": ("slug", known_slug),
}
_WRITABLE: dict[Resource, frozenset[str]] = {
    "device": frozenset({"is_pinned_on__release"}),
    "application": frozenset({"should_be_running__release", "should_track_latest_release"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A PATCH of one thing, named by its key: what has no key, or another field, cannot be made.

    Raises InvalidError.
    """

    resource: Resource
    key: str
    fields: Mapping[str, Any]

    def __post_init__(self) -> None:
        """Refuse what would change more than one thing, or something that is not ours to change."""
        _KEYS[self.resource][1](self.key)
        if not self.fields or (foreign := sorted(self.fields.keys() - _WRITABLE[self.resource])):
            what = f"'{foreign[0]}'" if self.fields else "nothing"
            raise InvalidError(f"{what} of a balena {self.resource} may not be written", field="fields")

    @property
    def path(self) -> str:
        """Where it is written."""
        name, known = _KEYS[self.resource]
        return f"/v7/{self.resource}({name}={quoted(known(self.key))})"


def pin_device(uuid: str, release_id: int) -> Write:
    """Let one device run a release, whatever its fleet does; v7 computes what it should be running."""
    return Write(resource="device", key=uuid, fields={"is_pinned_on__release": release_id})


def pin_fleet(slug: str, release_id: int) -> Write:
    """Let a fleet, and with it each device that is not pinned itself, run a release and no newer one."""
    fields = {"should_be_running__release": release_id, "should_track_latest_release": False}
    return Write(resource="application", key=slug, fields=fields)


def _of_fleet(slug: str) -> str:
    return f"belongs_to__application/any(a:a/slug eq {quoted(known_slug(slug))})"
