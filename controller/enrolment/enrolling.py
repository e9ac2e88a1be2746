"""Lets devices in and out of the broker: their users, their invitations, and what is told of it."""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from broker.errors import ConflictError, InvalidError
from broker.hosts import hosts
from broker.passwords import changing, hashed, new_password, read_users
from broker.topics import CONTROLLER, checked_id
from controller.access import urls
from controller.enrolment import bundle
from controller.enrolment.invitations import Invitation, Invitations
from controller.security.folder import Security
from controller.settings import Settings, outgoing_ip
from controller.storage.store import Store

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """The doors of the broker; `broker` is how devices reach it. Without a made security folder there are none."""

    store: Store
    security: Security
    broker: str

    @classmethod
    def of(cls, settings: Settings, store: Store) -> "Enrolling":
        """Return the doors of the broker that `settings` speak of."""
        host = urlsplit(settings.base_url).hostname or "localhost"
        broker = settings.devices_broker or broker_for_devices(settings.broker, host, outgoing_ip)
        return cls(store=store, security=settings.security_folder, broker=broker)

    def enroll(self, device_id: str, at: float, *, who: str, replace: bool = False) -> dict[str, str]:
        """Let `device_id` in and return its files, which hold its password.

        Raises ConflictError when it is in already and not to `replace`, InvalidError for an id that nobody may have.
        """
        security = self._may_be(device_id)
        password = new_password()
        with self.store.transaction(), changing(security.passwords) as users:
            if device_id in users and not replace:
                hint = "with --replace it gets a new password, and what it has now stops working"
                raise ConflictError(f"{device_id} is enrolled already", code="already_enrolled", hint=hint)
            users[device_id] = hashed(password)
            self._tell(at, f"{device_id} was enrolled", device_id, who)
        return self._files(security, device_id, password)

    def invite(self, device_id: str, at: float, *, holds_s: float, who: str, replace: bool = False) -> Invitation:
        """Return a token with which `device_id` enrolls itself once. Raises as `enroll` does."""
        security = self._may_be(device_id)
        if not replace and device_id in read_users(security.passwords):
            hint = "with --replace it gets a new password when it uses the token"
            raise ConflictError(f"{device_id} is enrolled already", code="already_enrolled", hint=hint)
        from controller.security.certificates import fingerprint  # noqa: PLC0415 - cryptography is loaded on use

        known = fingerprint(security.ca.read_bytes())
        with self.store.transaction():
            made = Invitations(self.store).make(device_id, known, at, holds_s=holds_s, who=who)
            self._tell(at, f"{device_id} was invited to enroll", device_id, who)
        return made

    def accept(self, token: str, at: float) -> tuple[str, dict[str, str]]:
        """Let in whom `token` invites; return its id and files. Raises InvalidError (`bad_enrolment`)."""
        security, password = self._there(), new_password()
        with self.store.transaction():
            device_id = Invitations(self.store).accept(token, at)
            with changing(security.passwords) as users:
                users[device_id] = hashed(password)
            self._tell(at, f"{device_id} enrolled with its token", device_id, device_id)
        return device_id, self._files(security, device_id, password)

    def revoke(self, device_id: str, at: float, *, who: str) -> bool:
        """Shut `device_id` out, with what invites it; return whether there was anything to shut."""
        security = self._may_be(device_id)
        with self.store.transaction(), changing(security.passwords) as users:
            withdrawn = Invitations(self.store).withdraw(device_id)
            was_in = users.pop(device_id, None) is not None
            urls.void(self.store, device_id, at)
            if was_in or withdrawn:
                self._tell(at, f"{device_id} was revoked: its credentials are void", device_id, who)
        return was_in or bool(withdrawn)

    def authority(self) -> str:
        """Return the certificate of the authority, which is no secret."""
        return self._there().ca.read_text("ascii")

    def _there(self) -> Security:
        if not self.security.made:
            hint = "`edgewatt init --data DIR` makes it; then start broker and controller with it"
            raise ConflictError("this controller has no security folder", code="no_security", hint=hint)
        return self.security

    def _may_be(self, device_id: str) -> Security:
        """Return the folder when a device may have this id. Raises ConflictError, InvalidError, WireError."""
        security = self._there()
        if checked_id(device_id) in {CONTROLLER, *security.operators}:
            raise InvalidError(
                f"{device_id} is a user of the broker already", hint="take another id", field="device_id"
            )
        return security

    def _files(self, security: Security, device_id: str, password: str) -> dict[str, str]:
        return bundle.files(
            device_id,
            broker=self.broker,
            authority=security.ca.read_text("ascii"),
            password=password,
            verify_key=security.verify_key.read_text("ascii").strip(),
        )

    def _tell(self, at: float, text: str, device_id: str, who: str) -> None:
        self.store.add_event(at, "access", text, who=who, device_id=device_id)


def broker_for_devices(broker: str, artifacts_host: str, outgoing: Callable[[], str]) -> str:
    """Return how devices reach the controller's `broker`: as it does, or on this machine's name for others."""
    found = hosts(broker)
    if not any(host in LOCAL for host, _ in found.nodes):
        return broker
    host = outgoing() if artifacts_host in LOCAL and not _loopback(outgoing()) else artifacts_host
    shown = f"[{host}]" if ":" in host else host
    return f"{'mqtts' if found.tls else 'mqtt'}://{shown}:{found.nodes[0][1]}"


def _loopback(text: str) -> bool:
    return ipaddress.ip_address(text).is_loopback
