"""Starts the real controller with a link that kills its process when a complete deployment is about to be published."""

import os
import signal
import sys

from broker.mqttium import MqttiumLink

publish = MqttiumLink.publish
moment = sys.argv.pop(1)


async def publish_or_die(self, topic, payload, *, qos=0, retain=False):
    """Die between the database write and the publish."""
    if topic.endswith(moment) and b'"deploy"' in payload:
        os.kill(os.getpid(), signal.SIGKILL)
    await publish(self, topic, payload, qos=qos, retain=retain)


if __name__ == "__main__":
    from controller.program import main

    MqttiumLink.publish = publish_or_die
    sys.exit(main())
