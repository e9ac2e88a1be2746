"""Names for filters of the fleet, kept by the controller: whoever looks at this fleet has the same ones."""

import re
from collections.abc import Mapping

from broker.errors import ConflictError, InvalidError, NotFoundError
from controller.storage.store import Store

MOST = 50
LONGEST_NAME = 40
FIELDS = frozenset({"q", "health", "tag", "type", "runs", "order"})
"""What a view may ask, as the address of the fleet's page has it."""
LONGEST_VALUE = 200

_REMEMBERED = "fleet_views"
_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


class SavedViews:
    """The saved views of the fleet's page."""

    def __init__(self, store: Store) -> None:
        """Keep them in `store`."""
        self._store = store

    def all(self) -> dict[str, dict[str, str]]:
        """Return what each view asks for, by its name."""
        return dict(sorted((self._store.remembered(_REMEMBERED) or {}).items()))

    def put(self, name: str, query: Mapping[str, str]) -> str:
        """Keep `query` under `name`, in place of what it was; return the name. Raises InvalidError, ConflictError."""
        name = name.strip()
        if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
            raise InvalidError("that is no name of a view", hint=f"1 to {LONGEST_NAME} characters", field="name")
        asked = {field: value for field, value in query.items() if value}
        unknown = sorted(set(asked) - FIELDS)
        if unknown or any(len(value) > LONGEST_VALUE for value in asked.values()):
            said = f"a view asks for none of {', '.join(unknown)}" if unknown else "a view's words are too long"
            raise InvalidError(said[:LONGEST_VALUE], hint=f"any of {', '.join(sorted(FIELDS))}", field="query")
        known = self.all()
        if name not in known and len(known) >= MOST:
            raise ConflictError(f"there are {MOST} views already", hint="remove one that nobody uses")
        self._keep(known | {name: asked})
        return name

    def remove(self, name: str) -> None:
        """Forget a view. Raises NotFoundError."""
        known = self.all()
        if known.pop(name, None) is None:
            raise NotFoundError(f"no view '{name[:LONGEST_NAME]}'", hint=f"there are: {', '.join(known) or 'none'}")
        self._keep(known)

    def _keep(self, views: dict[str, dict[str, str]]) -> None:
        with self._store.transaction():
            self._store.remember(_REMEMBERED, views)
