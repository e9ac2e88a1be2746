"""The flags of `python -m controller`: settings that are often given, by the names that they have in `Settings`."""

import argparse
from pathlib import Path


def flags() -> argparse.ArgumentParser:
    """Return what reads them; what is not given is None."""
    parser = argparse.ArgumentParser(prog="python -m controller", description="EdgeWatt's controller")
    parser.add_argument(
        "--broker",
        help="mqtts://host:8883 or mqtt://host:1883, several: mqtt://a:1883,b:1883 (default mqtt://127.0.0.1:1883)",
    )
    parser.add_argument("--username", help="the broker's user for the controller")
    parser.add_argument("--password-file", help="a file that holds its password")
    parser.add_argument("--ca-file", help="the authority that vouches for the broker (default the system's)")
    parser.add_argument("--cert-file", help="our certificate, for a broker that wants one")
    parser.add_argument("--key-file", help="its key")
    parser.add_argument("--carrier", choices=("auto", "mqttium", "paho"), help="the client library (default auto)")
    left = "leave telemetry to `python -m controller.worker`"
    parser.add_argument("--telemetry-workers", action="store_true", default=None, help=left)
    parser.add_argument("--host", help="where REST listens (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="where REST listens (default 5000)")
    parser.add_argument("--data", type=Path, help="folder of the database and the artifacts (default .edgewatt)")
    parser.add_argument("--database", help="postgresql://user@host/name (default a file in --data; extra postgres)")
    parser.add_argument("--database-password-file", help="a file that holds its password (default PGPASSFILE)")
    parser.add_argument("--security", type=Path, help="folder that `edgewatt init` made (default `security` in --data)")
    parser.add_argument("--devices-broker", help="how devices reach the broker (default mqtts://HOST:PORT)")
    parser.add_argument("--broker-reload", help="a command, or the broker's pid file: lets it read its users again")
    parser.add_argument("--artifact-base-url", help="how devices reach this controller (default http://HOST:PORT)")
    parser.add_argument("--registration", choices=("open", "approve"), help="who may join (default open)")
    parser.add_argument("--probe-inferences", type=int, help="measured before a model is committed (default 100)")
    parser.add_argument("--artifact-quota-mb", type=float, help="the store of models may hold so much (default 20000)")
    parser.add_argument("--max-downloads", type=int, help="devices that rollouts let fetch at once (default 50)")
    parser.add_argument("--alert-webhook-url", help="alerts are posted there as JSON (default nowhere)")
    parser.add_argument("--signing-key-file", help="signs artifacts for devices (needs the extra signed)")
    parser.add_argument("--redelivery-s", type=float, help="an unanswered command is sent again after it (default 15)")
    parser.add_argument("--tls-cert-file", help="REST speaks TLS with this certificate (PEM)")
    parser.add_argument("--tls-key-file", help="and this key (PEM)")
    parser.add_argument("--behind-proxy", action="store_true", default=None, help="TLS ends in a proxy in front")
    parser.add_argument("--first-token", action="store_true", default=None, help="make the first token when none is")
    parser.add_argument("--trusted-proxies", help="believed whom they speak for (default 127.0.0.1,::1)")
    parser.add_argument("--soak-s", type=float, help="how long a new model is watched, s (default 10)")
    return parser
