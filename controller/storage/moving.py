"""Takes over what an older program wrote, piece by piece after a step of the schema, so that a kill costs one piece."""

import logging
from typing import TYPE_CHECKING

from controller.storage import listed
from controller.storage.heap import UP_TO
from controller.storage.schema_runs import ISLANDS
from controller.storage.schema_samples import BEFORE

if TYPE_CHECKING:
    from controller.storage.store import Store

logger = logging.getLogger(__name__)

AT_ONCE = 50_000
"""Samples that are taken over in one transaction: half a second."""
_TIMES = (
    "INSERT INTO telemetry_times (device_id, ts, sample) "
    "SELECT device_id, ts, id FROM telemetry WHERE id > ? AND id <= ? ORDER BY device_id, ts, id"
)
_RUNS = ISLANDS.format(samples="telemetry WHERE id > ? AND id <= ?")


def put_beside(store: "Store") -> None:
    """Keep what lists ask of devices that an older program registered."""
    for piece in store.pieces():
        with store.transaction():
            for row in piece:
                told = {name: row[name] for name in listed.FROM if row[name] is not None}
                store.put_device(row["id"], words=row["id"], **told)


def move_samples(store: "Store") -> None:
    """Take over the samples of a file whose keys were written with each of them, where it has such a table."""
    if not store.query("SELECT 1 AS n FROM sqlite_master WHERE name = ?", [BEFORE]):
        return
    columns = ", ".join(row["name"] for row in store.query("SELECT name FROM pragma_table_info(?)", [BEFORE]))
    [ends] = store.query(f"SELECT coalesce(max(rowid), 0) AS last FROM {BEFORE}")  # noqa: S608 - our own table
    first: int = store.query("SELECT coalesce(max(id), 0) AS n FROM telemetry")[0]["n"]
    while first < ends["last"]:
        last = min(first + AT_ONCE, ends["last"])
        with store.transaction():
            store.connection.execute(
                f"INSERT INTO telemetry (id, {columns}) SELECT rowid, {columns} FROM {BEFORE} "  # noqa: S608 - our own columns
                "WHERE rowid > ? AND rowid <= ?",
                [first, last],
            )
            for sql in (_TIMES, _RUNS):
                store.connection.execute(sql, [first, last])
            store.connection.execute(UP_TO, [last])
        logger.info("samples are taken over: %.0f %%", 100 * last / ends["last"])
        first = last
    with store.transaction():
        store.connection.execute(f"DROP TABLE {BEFORE}")
