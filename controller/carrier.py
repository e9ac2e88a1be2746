"""Chooses what carries the controller's session: mqttium, which takes in a fleet at half the cost, else paho."""

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

from broker.errors import LinkError
from broker.link import Will
from broker.paho import PahoLink
from broker.sharing import NOT_SHARED, require_sharing
from controller.settings import Settings

if TYPE_CHECKING:
    from broker.mqttium import MqttiumLink

logger = logging.getLogger(__name__)


def carried(settings: Settings, client_id: str, will: Will | None = None) -> "PahoLink | MqttiumLink":
    """Return a link of `client_id` to the broker of `settings`. Raises LinkError and InvalidError."""
    if settings.carrier == "paho" or find_spec("mqttium") is None:
        logger.info("carrier: paho")
        return PahoLink(settings.broker, client_id, will=will, credentials=settings.credentials)
    from broker.mqttium import MqttiumLink  # noqa: PLC0415 - only where it is installed

    logger.info("carrier: mqttium")
    return MqttiumLink(settings.broker, client_id, will=will, credentials=settings.credentials)


async def check_sharing(settings: Settings, client_id: str) -> None:
    """Return when the broker lets workers share what the fleet says. Raises LinkError."""
    probe = PahoLink(settings.broker, f"{client_id}-probe", credentials=settings.credentials, lasting=False)
    await require_sharing(probe, settings.broker)


async def check_workers(settings: Settings, client_id: str) -> None:
    """Raise LinkError where telemetry is left to workers and the broker would give them none."""
    try:
        if settings.telemetry_workers:
            await check_sharing(settings, client_id)
    except LinkError as error:
        if error.code == NOT_SHARED:
            raise
