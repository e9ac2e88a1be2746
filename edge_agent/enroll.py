"""Exchanges a one-time token for the files that let this device into the fleet: `edgewatt-agent enroll`."""

import argparse
import hashlib
import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from broker.credentials import read_secret
from broker.errors import ConflictError, EdgeWattError, InvalidError, LinkError
from edge_agent.files import storage_error

TOKEN = re.compile(r"ewe\.[0-9a-f]{8}\.[A-Za-z0-9_-]{43}\.([0-9a-f]{64})")
NAMES = ("agent.toml", "ca.pem", "password")
DEFAULT_FOLDER = Path("/etc/edgewatt")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
WITHIN_S, MOST_BYTES = 20.0, 100_000


def add_to(commands: Any) -> None:
    """Add the command to the command line's `commands`."""
    enroll = commands.add_parser(
        "enroll",
        help="fetch this device's settings and password with a one-time token",
        description="Fetch this device's settings, authority and password from the controller with a one-time token.",
    )
    add = enroll.add_argument
    add("--controller", required=True, metavar="URL", help="https://host:5000")
    add("--token-file", required=True, metavar="FILE", help="holds the token; - is standard input")
    add("--into", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help=f"where they go (default {DEFAULT_FOLDER})")
    add("--replace", action="store_true", help="write over the files of an earlier enrolment")
    enroll.set_defaults(run=_enroll)


def _enroll(arguments: argparse.Namespace) -> int:
    token = sys.stdin.readline().strip() if arguments.token_file == "-" else read_secret(arguments.token_file)  # noqa: S105 - a file's name
    device_id = enroll(arguments.controller, token or "", arguments.into, replace=arguments.replace)
    print(f"this is {device_id}; next: edgewatt-agent run --settings {arguments.into / NAMES[0]}")
    return 0


def enroll(controller: str, token: str, folder: Path, *, replace: bool = False) -> str:
    """Put this device's files into `folder` and return its id.

    Nothing is told to a server that does not prove to be the one that made the token. Raises InvalidError, LinkError,
    ConflictError, StorageError.
    """
    form = TOKEN.fullmatch(token)
    if form is None:
        hint = "copy it whole, from ewe. to its end: `edgewatt devices enroll ID --token` prints it"
        raise InvalidError("this is no enrolment token", code="bad_setting", hint=hint)
    _ready(folder, replace=replace)
    url, trusted = controller.rstrip("/"), _trusted(controller.rstrip("/"), form[1])
    answer = _asked(urllib.request.Request(f"{url}/api/enroll", data=json.dumps({"token": token}).encode()), trusted)  # noqa: S310 - checked in `_trusted`
    files = answer.get("files")
    if not isinstance(files, Mapping) or not all(isinstance(files.get(name), str) for name in NAMES):
        raise LinkError(f"{url} does not answer as a controller does", hint="are both of the same version?")
    _write(folder, {name: files[name] for name in NAMES})
    return str(answer.get("device_id"))


def _trusted(url: str, fingerprint: str) -> ssl.SSLContext | None:
    """Return what proves that `url` is the right controller: its authority, which the token vouches for.

    The authority is fetched from whoever answers; only one with this `fingerprint` is believed.
    """
    scheme, host = urlsplit(url).scheme, urlsplit(url).hostname or ""
    if scheme == "http" and host in LOOPBACK:
        return None
    if scheme != "https" or not host:
        hint = "write https://HOST:PORT; a token sent without TLS could be used by others"
        raise InvalidError(f"'{url[:120]}' is no address to enroll at", code="bad_setting", hint=hint)
    unproven = ssl.create_default_context()
    unproven.check_hostname, unproven.verify_mode = False, ssl.CERT_NONE
    ca = str(_asked(urllib.request.Request(f"{url}/api/enroll/ca"), unproven).get("ca"))  # noqa: S310 - checked above
    try:
        found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ca)).hexdigest()
    except ValueError:
        found = ""
    if found != fingerprint:
        hint = "is the address right? if it is, somebody stands between: do not use this token any more"
        raise LinkError(f"{host} is not the controller that made this token", code="wrong_controller", hint=hint)
    return ssl.create_default_context(cadata=ca)


def _asked(request: urllib.request.Request, context: ssl.SSLContext | None) -> dict[str, Any]:
    """Return the answer. Raises LinkError, and InvalidError when the controller refuses."""
    request.add_header("Content-Type", "application/json")
    handlers = [urllib.request.ProxyHandler({}), _NoRedirect()]
    https = [urllib.request.HTTPSHandler(context=context)] if context else []
    try:
        with urllib.request.build_opener(*handlers, *https).open(request, timeout=WITHIN_S) as answer:
            found = json.loads(answer.read(MOST_BYTES))
    except urllib.error.HTTPError as error:
        raise _refused(error) from None
    except (OSError, ValueError) as error:
        host = urlsplit(request.full_url).netloc
        why = getattr(error, "reason", None) or error
        hint = "is the controller running, and does it serve https there?"
        raise LinkError(f"cannot ask {host}: {why}", hint=hint) from None
    return found if isinstance(found, dict) else {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows nobody: a token is for the address that a person gave."""

    def redirect_request(self, *_: Any) -> None:
        """Refuse to go elsewhere."""


def _refused(error: urllib.error.HTTPError) -> EdgeWattError:
    try:
        said = json.loads(error.read(MOST_BYTES))
        message, hint = str(said["error"]), str(said.get("hint") or "")
    except (OSError, ValueError, KeyError, TypeError):
        message, hint = f"the server answers {error.code} {error.reason}", "is this the controller's address?"
    return InvalidError(message, code="not_enrolled", hint=hint)


def _ready(folder: Path, *, replace: bool) -> None:
    """Make `folder`, and find out that it can be written before the token is used up."""
    if not replace and (folder / NAMES[0]).exists():
        hint = "--replace writes over it; --into names another folder"
        raise ConflictError(f"this device is enrolled already: {folder / NAMES[0]}", code="in_use", hint=hint)
    probe = folder / ".probe"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise storage_error(error, folder) from None


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Write each file for its owner only, the settings last: they are there only when all is."""
    for name in reversed(NAMES):
        path = folder / name
        temporary = path.with_name(name + ".new")
        try:
            temporary.unlink(missing_ok=True)
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(files[name])
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError as error:
            raise storage_error(error, path) from None
