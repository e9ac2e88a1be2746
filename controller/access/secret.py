"""The secret of a token: how it looks, how one is made, and what is kept of it.

It is 256 random bits, so nobody finds it by trying. A slow hash makes guessing a person's password costly; here it
would make every request slow and protect nothing. With SHA-256 whoever reads the database cannot sign in.
"""

import hashlib
import re
import secrets

SECRET = re.compile(r"ew_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
BYTES = 32


def new_secret() -> str:
    """Return a secret that is nobody's yet."""
    return f"ew_{secrets.token_hex(4)}_{secrets.token_urlsafe(BYTES)}"


def id_of(secret: str) -> str | None:
    """Return the id of the token that a secret is of, None for what is no secret."""
    form = SECRET.fullmatch(secret)
    return form[1] if form else None


def hashed(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
