"""Backups and restores in words, and as documents for programs."""

import time
from collections.abc import Iterator
from typing import Any

from controller.backups.contents import Manifest
from controller.backups.restoring import Restored
from controller.backups.taking import Backup

PG_DUMP = "the database is in PostgreSQL and not in this file: back it up with pg_dump"


def of_manifest(manifest: Manifest) -> dict[str, Any]:
    """Return what is in a backup."""
    return {
        "edgewatt": manifest.edgewatt,
        "made_at": manifest.made_at,
        "database": manifest.database,
        "secrets": manifest.secrets,
        "models": manifest.models,
        "files": len(manifest.files),
        "counts": manifest.counts,
    }


def of_backup(made: Backup) -> dict[str, Any]:
    """Return what was backed up, and where it is."""
    return {"path": str(made.path), "size": made.size, "removed": list(made.removed), **of_manifest(made.manifest)}


def of_restored(done: Restored) -> dict[str, Any]:
    """Return what was restored, and where the former content is."""
    before = str(done.before) if done.before else None
    return {"data": str(done.data), "before": before, "security": done.security, **of_manifest(done.manifest)}


def contents_of(manifest: Manifest) -> str:
    """Return in one line what is in a backup."""
    counts = [
        f"{manifest.counts[name]:,} {name}" for name in ("devices", "deployments", "events") if name in manifest.counts
    ]
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.made_at))
    return f"{', '.join((*counts, f'{manifest.models:,} model files'))}; made {made}"


def backup_lines(made: Backup, *, security: bool) -> Iterator[str]:
    """Give what a person is told of a backup; `security`: there are secrets that could be in it."""
    yield f"{made.path} ({made.size / 1e6:,.1f} MB): {contents_of(made.manifest)}"
    if made.manifest.database == "elsewhere":
        yield PG_DUMP
    if made.manifest.secrets:
        yield "it holds the keys and passwords of your fleet: keep it where only you can read it"
    elif security:
        yield "keys and passwords are not in it (--with-secrets): keep a copy of the folder security somewhere safe"
    if made.removed:
        yield f"older backups removed: {', '.join(made.removed)}"


def restored_lines(done: Restored) -> Iterator[str]:
    """Give what a person is told of a restore."""
    yield f"{done.data}: {contents_of(done.manifest)}"
    if done.manifest.database == "elsewhere":
        yield "the database was in PostgreSQL and is not in this file: bring it back with pg_restore"
    if done.security == "backup":
        yield f"keys and passwords are in {done.data / 'security'}"
    elif done.security == "folder":
        yield "keys and passwords are those that were in the folder already"
    elif done.security == "none":
        yield "there are no keys and passwords in it: put your copy of the folder security there if your fleet has one"
    if done.before:
        yield f"what was there before is in {done.before}"
