"""Puts the door together from the controller's settings."""

from broker.credentials import read_secret
from controller.access.allowance import Allowance
from controller.access.door import Door
from controller.access.secret import new_secret
from controller.access.secret_file import write_secret
from controller.access.tokens import Tokens
from controller.access.urls import Urls, url_key
from controller.security.folder import Security
from controller.settings import Settings
from controller.storage.store import Store

FIRST = "admin"
"""What the first administrator's token is called, which `edgewatt init` made."""


def known_tokens(security: Security, store: Store, at: float, *, make: bool = False) -> Tokens:
    """Return the tokens, among them the one that `edgewatt init` made, or that is made here when there is none.

    Raises InvalidError when it cannot be read or written.
    """
    tokens, file = Tokens(store), security.admin_token
    if make and not file.exists() and not tokens.exist():
        write_secret(file, f"{new_secret()}\n".encode())
    secret = read_secret(str(file)) if file.exists() else None
    if secret is not None:
        tokens.adopt(secret, FIRST, at)
    return tokens


def doorway(settings: Settings, store: Store, at: float) -> Door:
    """Return the door of a controller. Raises InvalidError when one of its keys cannot be used."""
    security = settings.security_folder
    tokens = known_tokens(security, store, at, make=settings.first_token)
    return Door(
        tokens=tokens,
        urls=Urls(
            base_url=settings.base_url,
            key=url_key(security.url_key),
            store=store,
            required=lambda: settings.exposed or tokens.exist(),
        ),
        allowance=Allowance(
            per_min={
                "writes": settings.max_writes_per_min,
                "predictions": settings.max_predictions_per_min,
                "failed_sign_ins": settings.max_failed_sign_ins_per_min,
            }
        ),
        always=settings.exposed,
    )
