"""The controller's settings: flag, then environment, then file, then default."""

import ipaddress
import os
import socket
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from broker.credentials import Credentials, read_secret
from broker.errors import InvalidError
from broker.hosts import address
from broker.signing import Signer
from broker.topics import CONTROLLER
from controller.alerts.webhook import checked
from controller.security.folder import NAME, TLS_PORT, Security
from controller.storage.database import Place, Server

PREFIX = "EDGEWATT_"
DATA = Path(".edgewatt")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a controller can be told.

    `probe_inferences` are measured on the device before a model is committed; `soak_s` is how long it is watched then.
    A command that no device answered is sent again after `redelivery_s`, then after twice as long each time.
    The store gives up what can be made again above `artifact_quota_mb`.
    `max_upload_mb` (10^6 bytes) is the largest model file that is taken from people.
    Events move into archive files after `keep_events_days`; such a file stays for `keep_archives_days`.
    Deployments that ended and their rollouts go after `keep_deployments_days`, other commands after
    `keep_commands_days`, predictions beside what was measured after `keep_ledger_days`; the oldest earlier where there
    are more than `max_records` of a kind. What is open stays, and so do the newest of each device.
    Telemetry goes after `keep_telemetry_days`, its sums by hour after `keep_hours_days`; earlier where the database
    would exceed `max_database_mb` (10^6 bytes).
    Rollouts let `max_downloads` devices fetch at the same time, all of them together.
    `username` and the password in `password_file` are for the broker, which `ca_file` vouches for with mqtts://; one
    that wants a certificate of ours gets `cert_file` with `key_file`.
    What is not set is from `security`, the folder that `edgewatt init` made; by default that of this name in `data`.
    `balena_fleet` (organization/fleet) is meant where no other is named; `balena_token_file` holds what
    EDGEWATT_BALENA_TOKEN may hold instead.
    Notices of alerts are posted to `alert_webhook_url`, where one is set.
    With `first_token` a controller without tokens makes its admin's, in the file admin.token of `security`.
    REST speaks TLS with `tls_cert_file` and `tls_key_file` (PEM), or a proxy in front does (`behind_proxy`); of the
    addresses in `trusted_proxies` (or networks, with commas between) it is believed whom they speak for. Somebody may
    ask for `max_writes_per_min` and `max_predictions_per_min`, an address be wrong `max_failed_sign_ins_per_min` times.
    Devices reach the broker at `devices_broker`; `broker_reload`, a command or a pid file, tells it of new users.
    What is known is kept in a file in `data`, or in `database`: `postgresql://user@host/name`, whose password is in
    `database_password_file` or where libpq looks for it.
    `conversion_timeout_s` and `conversion_memory_mb` (10^6 bytes) bound the process that makes a model.
    """

    broker: str = "mqtt://127.0.0.1:1883"
    carrier: Literal["auto", "mqttium", "paho"] = "auto"
    telemetry_workers: bool = False
    host: str = "127.0.0.1"
    port: int = 5000
    data: Path = DATA
    artifact_base_url: str = ""
    registration: Literal["open", "approve"] = "open"
    probe_inferences: int = 100
    soak_s: float = 10.0
    redelivery_s: float = 15.0
    artifact_quota_mb: float = 20_000.0
    signing_key_file: str = ""
    max_upload_mb: int = 500
    conversion_timeout_s: float = 900.0
    conversion_memory_mb: int = 6_000
    keep_events_days: float = 90.0
    keep_archives_days: float = 365.0
    keep_deployments_days: float = 365.0
    keep_commands_days: float = 90.0
    keep_ledger_days: float = 730.0
    max_records: int = 1_000_000
    keep_telemetry_days: float = 30.0
    keep_hours_days: float = 730.0
    max_database_mb: float = 10_000.0
    max_downloads: int = 50
    alert_webhook_url: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    security: Path | None = None
    balena_api_url: str = "https://api.balena-cloud.com"
    balena_fleet: str = ""
    balena_token_file: str = ""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    behind_proxy: bool = False
    first_token: bool = False
    trusted_proxies: str = "127.0.0.1,::1"
    max_writes_per_min: int = 600
    max_predictions_per_min: int = 1_200
    max_failed_sign_ins_per_min: int = 20
    devices_broker: str = ""
    broker_reload: str = ""
    database: str = ""
    database_password_file: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        address(self.broker)
        checked(self.alert_webhook_url)
        if self.database:
            _check_database(self.database)
        if self.carrier not in ("auto", "mqttium", "paho"):
            raise InvalidError(f"carrier '{self.carrier}' is none", hint="auto, mqttium or paho", field="carrier")
        if self.registration not in ("open", "approve"):
            raise InvalidError(f"registration '{self.registration}' is neither open nor approve", field="registration")
        if not self.artifact_quota_mb > 0:
            raise InvalidError(f"artifact_quota_mb {self.artifact_quota_mb:g} is none", field="artifact_quota_mb")
        if not 0 <= self.port <= 65_535:  # noqa: PLR2004 - the range of ports
            raise InvalidError(f"port {self.port} is none", hint="1 to 65535", field="port")
        api = urlsplit(self.balena_api_url)
        if not api.hostname or not (api.scheme == "https" or (api.scheme == "http" and api.hostname in LOOPBACK)):
            hint = "https://…; a token is not sent in the clear"
            raise InvalidError(f"balena_api_url '{self.balena_api_url}' is none", hint=hint, field="balena_api_url")
        positive = ("redelivery_s", "max_upload_mb", "conversion_timeout_s", "conversion_memory_mb", "max_downloads")
        limits = ("max_writes_per_min", "max_predictions_per_min", "max_failed_sign_ins_per_min")
        kept = ("keep_events_days", "keep_archives_days", "keep_telemetry_days", "keep_hours_days")
        records = ("keep_deployments_days", "keep_commands_days", "keep_ledger_days", "max_records")
        for name in (*positive, *limits, *kept, *records, "max_database_mb"):
            if not getattr(self, name) > 0:
                raise InvalidError(f"{name} must be positive", hint="leave it out for the default", field=name)

        if bool(self.tls_cert_file) != bool(self.tls_key_file):
            missing = "tls_key_file" if self.tls_cert_file else "tls_cert_file"
            raise InvalidError(f"{missing} is missing", hint="TLS takes a certificate and its key", field=missing)

    @property
    def exposed(self) -> bool:
        """Whether others than programs on this machine reach REST."""
        return self.behind_proxy or _reaches_others(self.host)

    @property
    def security_folder(self) -> Security:
        """Where keys lie, or will."""
        return Security((self.security or self.data / NAME).resolve())

    @property
    def base_url(self) -> str:
        """Where devices fetch artifacts."""
        return self.artifact_base_url.rstrip("/") or self.own_url

    @property
    def own_url(self) -> str:
        """Where this controller's REST is, whatever stands before it."""
        host = self.host if self.host not in ("0.0.0.0", "::", "") else outgoing_ip()  # noqa: S104 - compared, not bound
        return f"{'https' if self.tls_cert_file else 'http'}://{host}:{self.port}"

    @property
    def signer(self) -> Signer | None:
        """Who signs artifacts, where a key is configured. Raises InvalidError when it cannot be read."""
        return Signer(Path(self.signing_key_file)) if self.signing_key_file else None

    @property
    def credentials(self) -> Credentials:
        """Who the controller is to the broker. Raises InvalidError when the password cannot be read."""
        return Credentials(
            username=self.username or None,
            password=read_secret(self.password_file),
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
        )

    @property
    def place(self) -> Place:
        """Where what is known is kept. Raises InvalidError when the database's password cannot be read."""
        if not self.database:
            return self.data / "controller.db"
        return Server(self.database, read_secret(self.database_password_file))


def load(flags: dict[str, Any], environment: dict[str, str] | None = None) -> Settings:
    """Return settings from `flags` (None: not given), EDGEWATT_… variables and the file EDGEWATT_CONFIG.

    Raises InvalidError naming the setting.
    """
    env = dict(os.environ) if environment is None else environment
    given = _from_file(env.get(f"{PREFIX}CONFIG"))
    for field in fields(Settings):
        name = f"{PREFIX}{field.name.upper()}"
        if env.get(name):
            given[field.name] = env[name]
    given |= {name: value for name, value in flags.items() if value is not None}
    return Settings(**_secured({name: _typed(name, value) for name, value in given.items()}))


def _secured(given: dict[str, Any]) -> dict[str, Any]:
    """Return `given` with what the security folder knows and nobody said. Raises InvalidError when it is not made."""
    folder = given.get("security") or given.get("data", DATA) / NAME
    security = Security(folder.resolve())
    if not security.made:
        if "security" in given:
            hint = f"`edgewatt init --data {folder.parent}` makes {folder.parent / NAME}"
            raise InvalidError(f"there is no security in {folder}", hint=hint, field="security")
        return given
    known = {"security": security.root, "signing_key_file": str(security.signing_key)}
    known |= {"broker_reload": str(security.pid_file)}
    known |= {"broker": f"mqtts://localhost:{TLS_PORT}"}
    if urlsplit(given.get("broker", known["broker"])).scheme == "mqtts":
        known |= {"ca_file": str(security.ca), "username": CONTROLLER}
        known |= {"password_file": str(security.password_of(CONTROLLER))}
    if _reaches_others(given.get("host", "127.0.0.1")) and not given.get("behind_proxy"):
        known |= {"tls_cert_file": str(security.server), "tls_key_file": str(security.server_key)}
    return known | given


def _reaches_others(host: str) -> bool:
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host not in LOOPBACK


def outgoing_ip() -> str:
    """Return the address that other machines see, without sending anything; loopback where there is no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _check_database(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        hint = "postgresql://user@host/name, or nothing for a file in the data folder"
        raise InvalidError("database is no address of PostgreSQL", hint=hint, field="database")
    if parts.password is not None or "password=" in parts.query:
        hint = "put it into database_password_file, or where PGPASSFILE says, and leave it out of the address"
        raise InvalidError("database has a password in it, which others could read", hint=hint, field="database")


def _from_file(path: str | None) -> dict[str, Any]:
    if not path:
        return {}
    try:
        with Path(path).open("rb") as file:
            table = tomllib.load(file).get("controller", {})
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidError(f"cannot read the settings in {path}: {error}", field="EDGEWATT_CONFIG") from None
    known = {field.name for field in fields(Settings)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise InvalidError(f"{path}: unknown setting {unknown[0]}", hint=f"known: {', '.join(sorted(known))}")
    return dict(table)


def _typed(name: str, value: Any) -> Any:
    kind: Any = {field.name: field.type for field in fields(Settings)}[name]
    kind = Path if kind == Path | None else kind if kind in (int, float, bool, Path) else str
    try:
        return _yes(value) if kind is bool else kind(value)
    except (TypeError, ValueError):
        said = "neither true nor false" if kind is bool else f"not a {kind.__name__}"
        raise InvalidError(f"{name} '{value}' is {said}", field=name) from None


def _yes(value: Any) -> bool:
    """Return what a flag, a variable or a file says. Raises ValueError."""
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]
