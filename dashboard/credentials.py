"""The token that the dashboard itself has: from the file that EDGEWATT_TOKEN_FILE names."""

import os
from pathlib import Path

from broker.errors import InvalidError


def service_token() -> str | None:
    """Return the dashboard's own token, None where it has none. Raises InvalidError when the file cannot be read."""
    path = os.environ.get("EDGEWATT_TOKEN_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text("utf-8").strip() or None
    except (OSError, ValueError) as error:
        said = f"the dashboard cannot read its token in {path}: {getattr(error, 'strerror', None) or error}"
        raise InvalidError(said, hint="EDGEWATT_TOKEN_FILE names a file with one line", field="token_file") from None
