"""Where the controller and the broker are, and who asks: a flag, the environment, the settings file, the default.

In this order; a token is never a flag, as everybody on a machine can read those.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from broker.errors import InvalidError

DEFAULTS = {
    "controller_url": "http://127.0.0.1:5000",
    "broker_url": "mqtt://127.0.0.1:1883",
    "broker_username": "",
    "broker_password_file": "",
    "broker_ca_file": "",
    "broker_cert_file": "",
    "broker_key_file": "",
    "token_file": "",
    "controller_ca_file": "",
}
TOKEN = "EDGEWATT_TOKEN"  # noqa: S105 - the variable's name


def setting(name: str, flag: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return the value of `name`, one of `DEFAULTS`. Raises InvalidError for a settings file that is not TOML."""
    return origin(name, flag, environment)[0]


def origin(name: str, flag: str | None, environment: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Return the value of `name` and where it is from. Raises InvalidError for a settings file that is not TOML."""
    variable, file = f"EDGEWATT_{name.upper()}", settings_file(environment)
    if flag:
        return flag, "flag"
    if environment.get(variable):
        return environment[variable], f"environment ({variable})"
    if found := _from_file(file).get(name):
        return found, f"file ({file})"
    return DEFAULTS[name], "default"


def token(environment: Mapping[str, str] = os.environ) -> tuple[str | None, str]:
    """Return the secret that signs in, None where there is none, and where it is from. Raises InvalidError."""
    if environment.get(TOKEN):
        return environment[TOKEN].strip(), f"environment ({TOKEN})"
    path, whence = origin("token_file", None, environment)
    if not path:
        return None, whence
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip() or None, f"the file {path}"
    except (OSError, ValueError) as error:
        said = f"cannot read the token in {path}: {getattr(error, 'strerror', None) or error}"
        raise InvalidError(said, hint="token_file names a file with one line", field="token_file") from None


def settings_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return EDGEWATT_CONFIG, or edgewatt/config.toml in the user's configuration folder."""
    home = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(environment.get("EDGEWATT_CONFIG") or Path(home) / "edgewatt" / "config.toml")


def _from_file(path: Path) -> dict[str, str]:
    try:
        read = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InvalidError(
            f"cannot read the settings in {path}: {error}", hint='write: controller_url = "…"'
        ) from error
    return {key: str(value) for key, value in read.items() if key in DEFAULTS}
