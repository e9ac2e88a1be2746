"""Who we are to a broker, and whom we take for it."""

import logging
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import InvalidError
from broker.hosts import Hosts

logger = logging.getLogger(__name__)


class _Tidy(ssl.SSLSocket):
    """A socket that closes when its handshake fails; paho would leave it to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands. Raises OSError."""
        try:
            super().do_handshake(block)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            self.close()
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User and password, the authority that vouches for the broker, and a certificate of our own where it wants one.

    Files are PEM. Without `ca_file` those that the system trusts are believed.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""

    def context(self) -> ssl.SSLContext:
        """Return the terms of TLS: the broker's chain, name and dates are checked. Raises InvalidError."""
        context = trusting(self.ca_file)
        if self.cert_file:
            try:
                context.load_cert_chain(self.cert_file, self.key_file or None)
            except (OSError, ValueError) as error:
                what = f"{self.cert_file} with {self.key_file}" if self.key_file else self.cert_file
                raise _unusable(what, error, "cert_file and key_file are PEM and belong together") from None
        return context


NOBODY = Credentials()


def warn_in_the_clear(where: Hosts, who: Credentials) -> None:
    """Warn of a password that would go over the network without TLS."""
    if who.password and not where.tls and not where.local:
        logger.warning("the password of %s goes over the network in the clear: write mqtts://", who.username)


def trusting(ca_file: str) -> ssl.SSLContext:
    """Return a client's context that believes the authorities in `ca_file`, or the system's. Raises InvalidError."""
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:
        raise _unusable(ca_file, error, "ca_file is PEM; `edgewatt init` makes one as security/ca.pem") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _Tidy
    return context


def read_secret(path: str) -> str | None:
    """Return the text in the file at `path`, without its line's end; None for no path. Raises InvalidError."""
    if not path:
        return None
    try:
        secret = Path(path).expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error, "name a file that holds the password and nothing else") from None
    if not secret:
        raise InvalidError(f"{path} is empty", code="bad_setting", hint="it should hold the password")
    return secret


def _unusable(what: str, error: Exception, hint: str) -> InvalidError:
    why = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    return InvalidError(f"cannot use {what}: {why}", code="bad_setting", hint=hint)
