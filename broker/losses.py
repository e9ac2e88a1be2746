"""Why there is no connection to a broker: each cause a code to count and one sentence that says what to do."""

import socket
import ssl

from broker.link import Disconnected

EXPIRED, NOT_YET, WRONG_NAMES = 10, 9, frozenset({62, 64})
"""OpenSSL's numbers for a certificate outside its dates, and for one that names another host."""


def unreachable(error: OSError, host: str, port: int) -> Disconnected:
    """Return why no connection to `host`:`port` came about."""
    where = f"{host}:{port}"
    match error:
        case ssl.SSLCertVerificationError():
            return _untrusted(error, where, host)
        case ssl.SSLError():
            text = f"{where} does not speak TLS as we do ({error.reason or error}): is mqtts:// meant for this port?"
            return Disconnected(text, code="no_tls")
        case socket.gaierror():
            return Disconnected(f"no host is called {host}", code="unknown_host")
        case ConnectionRefusedError():
            return Disconnected(f"nobody listens on {where}: is the broker running?", code="unreachable")
        case TimeoutError():
            return Disconnected(f"no answer from {where} in time: is a firewall between?", code="unreachable")
        case ConnectionResetError() | BrokenPipeError():
            return Disconnected(
                f"{where} hung up at once: does this port speak TLS, as mqtts:// does?", code="closed_early"
            )
    return Disconnected(f"no way to {where}: {error.strerror or error}", code="unreachable")


def refused(code: int, username: str | None) -> Disconnected:
    """Return why the broker answered CONNECT with the reason `code`, in MQTT 5's numbers."""
    who = f"the user '{username}'" if username else "a client without a user"
    match code:
        case 134 | 135:  # which of both a broker of MQTT 3.1.1 says for a wrong password is its own choice
            text = (
                f"the broker does not let {who} in: unknown, revoked, or another password"
                if username
                else f"the broker does not let {who} in: give username and password_file"
            )
            return Disconnected(text, code="not_let_in")
        case 133:
            return Disconnected("the broker does not take this client id", code="bad_client_id")
        case 136 | 137:
            return Disconnected("the broker is busy; trying again", code="busy")
    return Disconnected(f"the broker refused the connection ({code})", code="refused")


def broken(code: int, says: str) -> Disconnected:
    """Return why a connection that stood is over."""
    if code == 128:  # noqa: PLR2004 - MQTT 5's "unspecified error": nobody said goodbye
        return Disconnected("the connection broke: the broker or the network ended it")
    return Disconnected(says)


def closed_early(where: str, *, tls: bool, with_certificate: bool) -> Disconnected:
    """Return what a hang-up before the broker's answer to CONNECT means."""
    if not tls:
        return Disconnected(f"{where} hung up before it answered: does it want TLS? then mqtts://", code="closed_early")
    hint = "does it refuse our certificate?" if with_certificate else "does it want a certificate of ours (cert_file)?"
    return Disconnected(f"{where} hung up before it answered: {hint}", code="closed_early")


def _untrusted(error: ssl.SSLCertVerificationError, where: str, host: str) -> Disconnected:
    if error.verify_code == EXPIRED:
        text = f"the certificate of {where} has expired: `edgewatt init --renew` on its machine makes a new one"
        return Disconnected(text, code="expired")
    if error.verify_code == NOT_YET:
        return Disconnected(f"the certificate of {where} is not valid yet: is this clock set?", code="not_yet_valid")
    if error.verify_code in WRONG_NAMES:
        text = f"the certificate of {where} names other hosts: `edgewatt init --host {host}` there adds this one"
        return Disconnected(text, code="wrong_name")
    text = f"the certificate of {where} is from an authority we do not know: is ca_file that of its security folder?"
    return Disconnected(text, code="untrusted")
