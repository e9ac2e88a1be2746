"""Adds a model to a controller's data folder, also while it runs: `python -m controller.models FILE.onnx | NAME`."""

import argparse
import sys
from pathlib import Path

from broker.errors import EdgeWattError
from controller.models.catalog import MAKERS, Catalogue
from controller.models.store import ArtifactStore


def main(arguments: list[str] | None = None) -> int:
    """Add one file, or make one of the models that can be made; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m controller.models", description="Add a model to the catalogue.")
    parser.add_argument("model", help=f"an .onnx file, or one of {', '.join(MAKERS)}")
    parser.add_argument("--name", help="what to call a file (default: what it calls itself, or its stem)")
    parser.add_argument("--data", type=Path, default=Path(".edgewatt"), help="the controller's data folder")
    options = parser.parse_args(arguments)
    try:
        catalogue = Catalogue(ArtifactStore(options.data / "artifacts"))
        known = options.model in MAKERS
        model = catalogue.make(options.model) if known else catalogue.add(Path(options.model), name=options.name)
    except EdgeWattError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 1
    sys.stdout.write(f"{model.name}: {model.gmacs * 1e3:,.4g} million MACs, {model.size_mb:.1f} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
