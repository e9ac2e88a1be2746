"""Which registered device is meant by a network address; pure."""

from collections.abc import Sequence

from broker.errors import ConflictError, NotFoundError
from controller import fleet
from controller.storage.store import Row


def device_at(devices: Sequence[Row], address: str) -> Row:
    """Return the device that reports `address`; where several do, the one that is connected.

    Raises NotFoundError with the nearest addresses, ConflictError when it could be one of several.
    """
    found = [device for device in devices if address_of(device) == address]
    if not found:
        hint = fleet.nearest(address, filter(None, map(address_of, devices)))
        raise NotFoundError(
            f"no registered device reports the address {address[:80]}", code="unknown_device", hint=hint
        )
    connected = [device for device in found if device["online"]]
    meant = found if len(found) == 1 else connected
    if len(meant) != 1:
        several = [device["id"] for device in meant or found]
        raise ConflictError(
            f"{len(several)} devices report the address {address[:80]}",
            code="ambiguous_address",
            hint=f"say which by device_id: {', '.join(several[:5])}{' …' if len(several) > 5 else ''}",  # noqa: PLR2004 - a line
            devices=several[:100],
        )
    return meant[0]


def address_of(device: Row) -> str:
    """Return the address that `device` reports, "" where it reports none."""
    return device["ip"] or ""
