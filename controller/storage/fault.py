"""Why the database could not be written last, for as long as that holds."""

from dataclasses import dataclass

from broker.errors import StorageError


@dataclass(slots=True)
class Fault:
    """The newest failure; a batch of messages that waits to be written ends it by being written, and nothing else."""

    error: StorageError | None = None
    batch_waits: bool = False

    @property
    def message(self) -> str | None:
        """What is said of it, None while all is well."""
        return self.error.message if self.error else None

    @property
    def may_be_over(self) -> bool:
        """Whether another write would show that it is."""
        return self.error is not None and not self.batch_waits

    def note(self, error: StorageError, *, batch: bool = False) -> None:
        """Take in that something could not be written."""
        self.error, self.batch_waits = error, self.batch_waits or batch

    def over(self) -> None:
        """Take in that something was written that could not be, or anything while no batch waits."""
        self.error, self.batch_waits = None, False
