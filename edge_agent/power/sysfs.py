"""Reads the one-line files of sysfs."""

from pathlib import Path


def text(path: Path) -> str | None:
    """Return the line in `path`; None when it is missing or closed to us."""
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None


def number(path: Path) -> float | None:
    """Return the number in `path`; None when there is none."""
    line = text(path)
    try:
        return None if line is None else float(line)
    except ValueError:
        return None
