"""nginx as a peer: one worker that serves a folder, or stands in front of a controller as the shipped file says."""

import contextlib
import getpass
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
UP_WITHIN_S = 30.0
CONNECTIONS = 8_192

MAIN = """
user {user}; daemon off; worker_processes 1; worker_rlimit_nofile 16384;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections {connections}; }}
http {{
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
{rest}
}}
"""
STATIC = "server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}"


def found() -> str | None:
    """Return where nginx is."""
    return shutil.which("nginx") or shutil.which("/usr/sbin/nginx")


def configured(folder: Path, rest: str) -> list[str]:
    """Return the command of an nginx whose `http` has `rest`."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"user": getpass.getuser(), "folder": folder, "connections": CONNECTIONS, "rest": rest}
    (folder / "nginx.conf").write_text(MAIN.format(**said))
    return [found() or "nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)]


def static(folder: Path, root: Path, port: int) -> list[str]:
    """Return the command of an nginx that serves `root` on `port`."""
    return configured(folder, STATIC.format(port=port, root=root))


def in_front(folder: Path, port: int, controller_port: int) -> list[str]:
    """Return the command of an nginx as it is shipped, but for TLS, which would be measured instead."""
    shipped = (ROOT / "deploy" / "nginx" / "edgewatt.conf").read_text()
    place = (ROOT / "deploy" / "nginx" / "place.conf").read_text()
    for ours, here in {
        "include edgewatt/place.conf;": place.replace("127.0.0.1:5000", f"127.0.0.1:{controller_port}"),
        "include edgewatt/log.conf;": "",
        "/var/cache/nginx/edgewatt": str(folder / "cache"),
        "listen 80 default_server": f"listen unix:{folder}/plain.sock",
        "listen 443 ssl default_server": f"listen 127.0.0.1:{port} backlog=4096",
    }.items():
        shipped = shipped.replace(ours, here)
    return configured(folder, re.sub(r"^ *ssl_.*$", "", shipped, flags=re.MULTILINE))


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a server until it is no longer needed."""
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + UP_WITHIN_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} does not listen on {port}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])
