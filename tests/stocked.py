"""A data folder whose store holds what every controller makes at its first start: made once, copied since."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from controller.models import untrained
from controller.models.catalog import Catalogue
from controller.models.store import ArtifactStore


def stocked(folder):
    """Return `folder`, with the models in it unless it has some."""
    if not (folder / "artifacts").exists():
        shutil.copytree(_made(), folder / "artifacts")
    return folder


@functools.cache
def _made():
    folder = Path(tempfile.mkdtemp(prefix="edgewatt-stock-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Catalogue(ArtifactStore(folder), listed={}).make(untrained.NAME)
    return folder
