"""Whom restored files belong to: who owned the folder, and for secrets the group that read them."""

import contextlib
import grp
import os
from pathlib import Path


def group_name(stat: os.stat_result) -> str:
    """Return the name of a file's group, empty where it has none."""
    try:
        return grp.getgrgid(stat.st_gid).gr_name
    except KeyError:
        return ""


def give_to_group(path: Path, name: str) -> None:
    """Let the group `name` have `path`, where it exists and we may."""
    with contextlib.suppress(KeyError, PermissionError):
        os.chown(path, -1, grp.getgrnam(name).gr_gid)


def give_to_owner(folder: Path, like: Path, *, groups_of: Path) -> None:
    """Give what is in `folder` to who owns `like`, in `groups_of` without its group; only root may, and has to."""
    owner = like.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for path in (folder, *folder.rglob("*")):
        group = -1 if path.is_relative_to(groups_of) else owner.st_gid
        os.chown(path, owner.st_uid, group, follow_symlinks=False)
