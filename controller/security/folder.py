"""Where the keys, certificates, users and rules of a fleet lie."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from broker.topics import CONTROLLER, OPERATOR

NAME = "security"
PRIVATE, SHARED = 0o600, 0o640
FOLDER, PASSABLE, OPEN_TO_GROUP = 0o700, 0o710, 0o770
TLS_PORT, PEOPLE_PORT = 8883, 8884


@dataclass(frozen=True, slots=True)
class Security:
    """The folder `root`; nothing of it has to exist yet."""

    root: Path

    @classmethod
    def of(cls, data: Path) -> "Security":
        """Return that of the data folder `data`."""
        return cls((data / NAME).resolve())

    @property
    def made(self) -> bool:
        """Whether `edgewatt init` has made it."""
        return self.ca.is_file() and self.passwords.is_file() and self.acl.is_file() and self.server_key.is_file()

    @property
    def ca(self) -> Path:
        """The certificate of the authority: what a device needs to know."""
        return self.root / "ca.pem"

    @property
    def ca_key(self) -> Path:
        """The authority's key: whoever has it can pass for the broker."""
        return self.root / "ca.key"

    @property
    def crl(self) -> Path:
        """The authority's list of revoked certificates."""
        return self.root / "crl.pem"

    @property
    def server(self) -> Path:
        """The certificate of broker and controller."""
        return self.root / "server.pem"

    @property
    def server_key(self) -> Path:
        """The key of `server`."""
        return self.root / "server.key"

    @property
    def mosquitto(self) -> Path:
        """Mosquitto's configuration."""
        return self.root / "mosquitto.conf"

    @property
    def passwords(self) -> Path:
        """The broker's users with their hashed passwords."""
        return self.root / "passwords"

    @property
    def people(self) -> Path:
        """Those of the broker's users who are people; they may also come by a door of their own."""
        return self.root / "people"

    @property
    def acl(self) -> Path:
        """Which user may read and write which topic."""
        return self.root / "acl"

    @property
    def signing_key(self) -> Path:
        """What artifacts are signed with."""
        return self.root / "artifact-signing.key"

    @property
    def verify_key(self) -> Path:
        """The public half of `signing_key`, as base64."""
        return self.root / "artifact-signing.pub"

    @property
    def url_key(self) -> Path:
        """What the addresses of artifacts are made to expire with."""
        return self.root / "url.key"

    @property
    def admin_token(self) -> Path:
        """The token of REST's first administrator."""
        return self.root / "admin.token"

    @property
    def client_settings(self) -> Path:
        """The command line's settings for a person on this machine."""
        return self.root / "config.toml"

    @property
    def mqtt_options(self) -> Path:
        """The folder of what mosquitto_pub and mosquitto_sub are told."""
        return self.root / "mqtt"

    @property
    def broker_data(self) -> Path:
        """Where the broker keeps retained messages."""
        return self.root.parent / "broker"

    @property
    def pid_file(self) -> Path:
        """Where the broker says its process id."""
        return self.broker_data / "broker.pid"

    def password_of(self, user: str) -> Path:
        """Return the file with the plain password of `user`."""
        return self.root / f"{user}.password"

    @property
    def operators(self) -> tuple[str, ...]:
        """The people that the broker knows."""
        found = {path.stem for path in self.root.glob("*.password")} - {CONTROLLER}
        return tuple(sorted(found | {OPERATOR}))


def usual_broker_user() -> str:
    """Return the user that a broker started by us becomes: `mosquitto` for root where it exists, else ourselves."""
    if os.geteuid() == 0:
        try:
            return pwd.getpwnam("mosquitto").pw_name
        except KeyError:
            return "root"
    return pwd.getpwuid(os.geteuid()).pw_name
