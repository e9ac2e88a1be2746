"""Whether a process answers yet, asked in its own protocol."""

import socket
import ssl
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection

LOOPBACK = "127.0.0.1"
ANSWER_S = 2.0
PAUSE_S = 0.05

# MQTT 3.1.1 CONNECT, clean session, keepalive 10 s, empty client id; and the CONNACK's first two bytes.
_CONNECT = bytes([0x10, 12, 0, 4]) + b"MQTT" + bytes([4, 2, 0, 10, 0, 0])
_CONNACK = bytes([0x20, 2])
_WELCOME = _CONNACK + bytes([0, 0])
_DISCONNECT = bytes([0xE0, 0])


def answers_mqtt(port: int, host: str = LOOPBACK, *, tls: bool = False) -> bool:
    """Return whether a broker at `port` acknowledges a connection, be it with a refusal."""
    return _answer(port, host, tls=tls).startswith(_CONNACK)


def admits_anybody(port: int, host: str = LOOPBACK, *, tls: bool = False) -> bool:
    """Return whether a broker at `port` lets in a client without a user."""
    return _answer(port, host, tls=tls) == _WELCOME


def _answer(port: int, host: str, *, tls: bool) -> bytes:
    """Return what a broker says to a client without a user, nothing when there is none."""
    try:
        with socket.create_connection((host, port), timeout=ANSWER_S) as plain, _spoken(plain, tls=tls) as conversation:
            conversation.sendall(_CONNECT)
            answer = conversation.recv(4)
            conversation.sendall(_DISCONNECT)
    except OSError:
        return b""
    return answer


def answers_http(port: int, path: str, host: str = LOOPBACK, *, tls: bool = False) -> bool:
    """Return whether GET `path` at `port` is answered with 200."""
    conversation = (
        HTTPSConnection(host, port, timeout=ANSWER_S, context=_unproven())
        if tls
        else HTTPConnection(host, port, timeout=ANSWER_S)
    )
    try:
        conversation.request("GET", path)
        return conversation.getresponse().status == 200  # noqa: PLR2004 - 200 is the name of that status
    except (OSError, HTTPException):
        return False
    finally:
        conversation.close()


def wait_until(ready: Callable[[], bool], *, within_s: float, alive: Callable[[], bool] = lambda: True) -> bool:
    """Return True as soon as `ready`; False when `within_s` have passed or it is no longer `alive`."""
    ends_at = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > ends_at or not alive():
            return False
        time.sleep(PAUSE_S)
    return True


def _spoken(plain: socket.socket, *, tls: bool) -> socket.socket:
    return _unproven().wrap_socket(plain) if tls else plain


def _unproven() -> ssl.SSLContext:
    """Return what takes any certificate: whether something answers is asked, and nothing is told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
