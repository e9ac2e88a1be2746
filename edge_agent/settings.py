"""What an agent is told at its start: flag before EDGEWATT_… variable before TOML file before default."""

import os
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from broker.credentials import Credentials, read_secret
from broker.errors import InvalidError
from broker.topics import checked_id
from edge_agent.inputs import chosen

PREFIX = "EDGEWATT_"

PROVIDERS = ("auto", "cpu", "cuda", "tensorrt")
"""Where onnxruntime may be told to compute."""

FILES = ("password_file", "ca_file", "cert_file", "key_file")
"""Settings that name a file; in a settings file they may be relative to it."""

SLEEPS_BY = ("waiting", "exit")
"""How a process sleeps: it waits, or it ends and something else starts it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One agent's settings; `rate` is inferences per second, `heats_after_s` makes a simulated board throttle.

    `locked`, `max_energy_mj`, `max_latency_ms`, `only_hosts` and a `verify_key` are its owner's policy.
    `keep_mb` is for models older than the previous one; telemetry that waits takes `spool_mb` in the folder `spool`.
    `username` and a password are for the broker; `ca_file` vouches for it with mqtts://, and for who serves artifacts.
    With `awake_s` it sleeps `sleep_s` after each waking time: the process waits, or ends when `sleep_by` is `exit`.
    """

    id: str = ""
    broker: str = "mqtt://127.0.0.1:1883"
    data: Path = Path(".edgewatt/agent")
    device_type: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    simulate: bool = False
    heats_after_s: float | None = None
    battery_wh: float | None = None
    solar_wh_per_day: float | None = None
    input: str = "samples"
    rate: float = 1.0
    interval_s: float = 5.0
    seed: int = 0
    threads: int = 1
    provider: str = "auto"
    meter: str = "auto"
    allow_hosts: tuple[str, ...] = ()
    verify_key: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    no_controller_s: float = 120.0
    poll_s: float = 5.0
    progress_s: float = 2.0
    locked: bool = False
    max_energy_mj: float | None = None
    max_latency_ms: float | None = None
    only_hosts: tuple[str, ...] = ()
    keep_mb: float = 50.0
    spool: str = ""
    spool_mb: float = 16.0
    awake_s: float | None = None
    sleep_s: float = 600.0
    sleep_by: str = "waiting"

    @property
    def credentials(self) -> Credentials:
        """Who this device is to the broker. Raises InvalidError when the password cannot be read."""
        return Credentials(
            username=self.username or None,
            password=self.password or read_secret(self.password_file),
            ca_file=self.ca_file,
            cert_file=self.cert_file,
            key_file=self.key_file,
        )


def load(flags: Mapping[str, Any], env: Mapping[str, str] = os.environ, file: Path | None = None) -> Settings:
    """Return the settings; raises InvalidError (`bad_setting`) or WireError (`bad_id`) with a sentence."""
    merged: dict[str, Any] = {**_from_file(file), **_from_env(env), **{k: v for k, v in flags.items() if v is not None}}
    known = {f.name for f in fields(Settings)}
    if unknown := sorted(merged.keys() - known):
        raise InvalidError(
            f"unknown setting '{unknown[0]}'", code="bad_setting", hint=f"known: {', '.join(sorted(known))}"
        )
    settings = Settings(**{name: _typed(name, value) for name, value in merged.items()})
    settings = settings if settings.id else Settings(**{**_as_dict(settings), "id": default_id(socket.gethostname())})
    checked_id(settings.id)
    _check(settings)
    return settings


def default_id(hostname: str) -> str:
    """Return a device id made of a host's name."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in hostname.lower())
    return kept.lstrip("._-")[:64] or "device"


def tags_from(pairs: list[str]) -> dict[str, str]:
    """Return `["line=A"]` as a dict; raises InvalidError."""
    found = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(found) < len({p.partition("=")[0] for p in pairs}) or not all(found):
        raise InvalidError(f"'{' '.join(pairs)[:80]}' is no tag", code="bad_setting", hint="write --tag line=A")
    return found


def _from_file(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        return _beside(file, tomllib.loads(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidError(f"cannot read {file}: {error}", code="bad_setting") from error


def _beside(file: Path, found: dict[str, Any]) -> dict[str, Any]:
    """Return `found` with its files, where they are relative, beside the settings' own file."""
    return found | {name: str(file.parent / found[name]) for name in FILES if isinstance(found.get(name), str)}


def _from_env(env: Mapping[str, str]) -> dict[str, Any]:
    names = {PREFIX + f.name.upper(): f.name for f in fields(Settings)}
    return {name: env[variable] for variable, name in names.items() if variable in env}


def _typed(name: str, value: Any) -> Any:
    """Return `value`, text from the environment included, as the type of the setting."""
    try:
        match name:
            case "data":
                return Path(value).expanduser()
            case "tags":
                return dict(value) if isinstance(value, Mapping) else tags_from(str(value).split(",") if value else [])
            case "allow_hosts" | "only_hosts":
                return tuple(host for host in (value.split(",") if isinstance(value, str) else value) if host)
            case "simulate" | "locked":
                return value if isinstance(value, bool) else str(value).lower() in ("1", "true", "yes", "on")
            case "battery_wh" | "solar_wh_per_day" | "max_energy_mj" | "max_latency_ms" | "keep_mb" | "spool_mb":
                return _not_negative(float(value))
            case "rate" | "interval_s" | "heats_after_s" | "no_controller_s" | "poll_s" | "progress_s":
                return float(value)
            case "awake_s" | "sleep_s":
                return float(value)
            case "seed" | "threads":
                return int(value)
            case _:
                return str(value)
    except (TypeError, ValueError) as error:
        raise InvalidError(f"{name} cannot be '{value}'", code="bad_setting") from error


def _not_negative(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(value)
    return value


def _check(settings: Settings) -> None:
    chosen.check(settings.input)
    if settings.provider not in PROVIDERS:
        raise InvalidError(
            f"provider cannot be '{settings.provider[:80]}'", code="bad_setting", hint=f"one of {' '.join(PROVIDERS)}"
        )
    if settings.sleep_by not in SLEEPS_BY:
        raise InvalidError(
            f"sleep_by cannot be '{settings.sleep_by[:80]}'", code="bad_setting", hint=f"one of {' '.join(SLEEPS_BY)}"
        )
    limits = {"rate": (0.01, 1_000.0), "interval_s": (0.1, 3_600.0), "threads": (1, 64), "poll_s": (0.01, 600.0)}
    limits |= {"awake_s": (0.1, 86_400.0), "sleep_s": (0.1, 604_800.0)}
    for name, (low, high) in limits.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            raise InvalidError(f"{name} must be from {low:g} to {high:g}", code="bad_setting")


def _as_dict(settings: Settings) -> dict[str, Any]:
    return {f.name: getattr(settings, f.name) for f in fields(settings)}
