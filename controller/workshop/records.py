"""The workshop's jobs in the database: rows in, objects out."""

import json

import msgspec

from broker.wire import document
from controller.storage.database import upsert
from controller.storage.store import Row, Store
from controller.workshop.jobs import Job, JobState

COLUMNS = ("id", "key", "model", "state", "open", "sha256", "created_at", "document")


class Jobs:
    """Every job there ever was."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def get(self, job_id: str) -> Job | None:
        """Return one job."""
        return self._first("id = ?", [job_id])

    def put(self, job: Job) -> None:
        """Insert or replace one job."""
        self._store.connection.execute(
            upsert("jobs", ("id",), COLUMNS),
            [
                job.id,
                job.order.key,
                job.order.model,
                job.state.value,
                job.open,
                job.sha256,
                job.created_at,
                json.dumps(document(job)),
            ],
        )

    def opened(self) -> list[Job]:
        """Return the jobs that wait or run, oldest first."""
        rows = self._store.query("SELECT document FROM jobs WHERE open = 1 ORDER BY created_at, id")
        return [_job(row) for row in rows]

    def next(self) -> Job | None:
        """Return the job that has waited longest."""
        return self._first("state = ?", [JobState.QUEUED.value], order="created_at, id")

    def newest(self, key: str) -> Job | None:
        """Return the newest job of the order `key`."""
        return self._first("key = ?", [key])

    def maker(self, sha256: str) -> Job | None:
        """Return the newest job that made the file `sha256`."""
        return self._first("sha256 = ?", [sha256])

    def find(self, *, model: str = "", state: str = "", limit: int = 100, offset: int = 0) -> list[Job]:
        """Return jobs, newest first."""
        where, arguments = _where(model, state)
        sql = f"SELECT document FROM jobs WHERE {where} ORDER BY created_at DESC, id DESC LIMIT ? OFFSET ?"  # noqa: S608 - fixed text
        return [_job(row) for row in self._store.query(sql, [*arguments, limit, offset])]

    def count(self, *, model: str = "", state: str = "") -> int:
        """Return how many jobs there are."""
        where, arguments = _where(model, state)
        return int(self._store.query(f"SELECT count(*) AS n FROM jobs WHERE {where}", arguments)[0]["n"])  # noqa: S608 - fixed text

    def _first(self, where: str, arguments: list[str], *, order: str = "created_at DESC, id DESC") -> Job | None:
        sql = f"SELECT document FROM jobs WHERE {where} ORDER BY {order} LIMIT 1"  # noqa: S608 - fixed text
        rows = self._store.query(sql, arguments)
        return _job(rows[0]) if rows else None


def _job(row: Row) -> Job:
    return msgspec.json.decode(row["document"], type=Job)


def _where(model: str, state: str) -> tuple[str, list[str]]:
    given = {"model": model, "state": state}
    parts = [f"{name} = ?" for name, value in given.items() if value]
    return " AND ".join(parts) or "true", [value for value in given.values() if value]
