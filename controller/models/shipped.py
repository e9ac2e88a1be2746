"""Where the files that come with EdgeWatt lie: beside the packages, in a checkout as in an installed tree."""

from pathlib import Path

ARTIFACTS = Path(__file__).resolve().parents[2] / "artifacts"
MODELS = ARTIFACTS / "models"
DATA = ARTIFACTS.parent / "data"
