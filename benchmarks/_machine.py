"""Describes the machine and the programs that figures were measured with."""

import importlib.metadata
import os
import platform
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import psutil

PEERS = (("mosquitto", "-h"), ("nginx", "-v"))
PACKAGES = ("paho-mqtt", "mqttium", "onnxruntime", "scikit-learn", "streamlit")


def describe() -> dict[str, str]:
    """Return processor, memory, system, and the versions of what is measured and compared with."""
    versions = {name: _answer(name, option) for name, option in PEERS}
    versions |= {"SQLite": sqlite3.sqlite_version} | {name: _installed(name) for name in PACKAGES}
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{_system()}, Linux {platform.release()}, Python {platform.python_version()}",
        "programs": ", ".join(f"{name} {version}" for name, version in versions.items() if version),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _answer(program: str, option: str) -> str | None:
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if path is None:
        return None
    said = subprocess.run([path, option], capture_output=True, text=True, check=False)
    found = re.search(r"\d+\.\d+\.\d+", said.stdout + said.stderr)
    return found[0] if found else None
