"""The predictor that answers now: whole at any moment, exchanged when another version is chosen."""

from controller.predict.predictor import FleetPredictor
from controller.predict.versions import Versions


class Answering:
    """Holds the active one of `versions`; whoever asks between two calls of `refresh` asks the same one."""

    def __init__(self, versions: Versions) -> None:
        """Load the active version; raises ArtifactError when it is damaged."""
        self.versions = versions
        self.id = versions.active
        self.current = FleetPredictor.load(versions.active_folder())

    def refresh(self) -> str | None:
        """Take the version that is active now; return the id of the one before, None when nothing has changed.

        Raises ArtifactError when its files are damaged; the one before then goes on answering.
        """
        chosen = self.versions.active
        if chosen == self.id:
            return None
        self.current = FleetPredictor.load(self.versions.active_folder())
        before, self.id = self.id, chosen
        return before
