"""Who the command line is to the broker, from its settings."""

from broker.credentials import Credentials, read_secret
from controller.cli.settings import setting


def broker_credentials() -> Credentials:
    """Return what the settings `broker_…` make together. Raises InvalidError for a file that cannot be used."""
    return Credentials(
        username=setting("broker_username", None) or None,
        password=read_secret(setting("broker_password_file", None)),
        ca_file=setting("broker_ca_file", None),
        cert_file=setting("broker_cert_file", None),
        key_file=setting("broker_key_file", None),
    )
