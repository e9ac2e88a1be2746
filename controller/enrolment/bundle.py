"""What one device gets: its settings, the authority, its password; pure."""

import io
import json
import tarfile
from collections.abc import Mapping

SETTINGS, AUTHORITY, PASSWORD = "agent.toml", "ca.pem", "password"
OWNER_ONLY = 0o600


def files(device_id: str, *, broker: str, authority: str, password: str, verify_key: str) -> dict[str, str]:
    """Return the files of a device's bundle by name; `edgewatt-agent run --settings agent.toml` runs with them."""
    settings = {
        "id": device_id,
        "username": device_id,
        "broker": broker,
        "ca_file": AUTHORITY,
        "password_file": PASSWORD,
        "verify_key": verify_key,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items() if value]
    head = f"# {device_id} alone uses this. Add what is true of the board: tags, device_type, battery_wh, …"
    return {SETTINGS: "\n".join([head, *lines]) + "\n", AUTHORITY: authority, PASSWORD: password + "\n"}


def as_tar(content: Mapping[str, str], at: float) -> bytes:
    """Return `content` as a tar archive, made `at` (Unix s), whose files only their owner may read."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in content.items():
            data = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), OWNER_ONLY, int(at)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
