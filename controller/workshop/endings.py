"""Says to a person how a job ended that made nothing: the one form of errors."""

from datetime import UTC, datetime

from broker.errors import ArtifactError, ConflictError, EdgeWattError, NotFoundError, StorageError
from controller.workshop.jobs import Job, JobState

_KINDS: dict[str, type[EdgeWattError]] = {"unknown_model": NotFoundError, "disk_full": StorageError}


def error_of(job: Job, *, remembered: bool = False) -> EdgeWattError:
    """Return why `job` made nothing; `remembered` when nobody tried again because the reason lasts."""
    said, hint = job.message or f"{job.order.model} was not made", job.hint or ""
    if job.state is JobState.CANCELLED:
        return ConflictError(f"{job.order.model} was not made: {said}", code="cancelled", hint="ask again", job=job.id)
    since = datetime.fromtimestamp(job.ended_at or job.created_at, UTC)
    if remembered:
        said = f"{said} (since {since:%Y-%m-%d %H:%M}Z with the same converters)"
        hint = f"{hint}; to try all the same, ask with again" if hint else "to try all the same, ask with again"
    kind = _KINDS.get(job.code or "", ArtifactError)
    return kind(said, code=job.code or "failed", hint=hint, job=job.id, since=since.isoformat(timespec="seconds"))
