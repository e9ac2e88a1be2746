"""What every controller makes at its first start, models and tables, for a data folder: made once, copied since."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from controller.models import untrained
from controller.models.catalog import Catalogue
from controller.models.store import ArtifactStore
from controller.storage.store import Store


def with_tables(path):
    """Return the `path` of a database, which has every table unless it was there before."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_made() / path.name, path)
    return path


def stocked(folder):
    """Return `folder`, with the models in it unless it has some."""
    if not (folder / "artifacts").exists():
        shutil.copytree(_made() / "artifacts", folder / "artifacts")
    return folder


@functools.cache
def _made():
    folder = Path(tempfile.mkdtemp(prefix="edgewatt-stock-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Catalogue(ArtifactStore(folder / "artifacts"), listed={}).make(untrained.NAME)
    Store(folder / "controller.db").close()
    return folder
