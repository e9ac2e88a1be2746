"""The token that balena knows the controller by: from the environment or a file, and never shown."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

from broker.errors import InvalidError

VARIABLE = "EDGEWATT_BALENA_TOKEN"
WHERE_TO_SET = f"set {VARIABLE}, or balena_token_file to a file with the token, and start the controller again"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret that no text shows."""

    secret: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What a request carries."""
        return {"Authorization": f"Bearer {self.secret}"}


def take(environment: MutableMapping[str, str], file: str) -> Token | None:
    """Return the token, None where there is none; it leaves the environment, so that no child process has it.

    Raises InvalidError for a file that cannot be read, and for what cannot be a token, without saying it.
    """
    given, whence = environment.pop(VARIABLE, ""), VARIABLE
    if not given.strip() and file:
        try:
            given, whence = Path(file).read_text("utf-8"), f"the file {file}"
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise InvalidError(f"cannot read {file}: {why}", hint=WHERE_TO_SET, field="balena_token_file") from None
        if not given.strip():
            raise InvalidError(f"{file} is empty", hint=WHERE_TO_SET, field="balena_token_file")
    secret = given.strip()
    if secret and not (secret.isascii() and secret.isprintable() and " " not in secret):
        hint = "one line of letters, digits, - _ and dots"
        raise InvalidError(f"what {whence} holds is no token", hint=hint, field="balena_token_file")
    return Token(secret) if secret else None
