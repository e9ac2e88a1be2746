"""Whom the embedded broker lets in: the users of a password file, each with the rights of the table of topics."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from broker.acl import READ, WRITE, Rules, allows, covers, rules_of
from broker.errors import InvalidError
from broker.passwords import matches, read_users
from broker.topics import OPERATOR

log = logging.getLogger(__name__)


class Door:
    """The users in the file at `path`; it is read again by `read`."""

    def __init__(self, path: Path, operators: Sequence[str] = (OPERATOR,)) -> None:
        """Read the users; `operators` of them are people. Raises InvalidError."""
        self._path = path
        self._users = read_users(path)
        self._operators = frozenset(operators)
        self._rules = lru_cache(maxsize=None)(lambda user: rules_of(user, self._operators))

    def read(self) -> None:
        """Read the users again; those known stay when the file cannot be read."""
        try:
            self._users = read_users(self._path)
        except InvalidError as error:
            log.error("the users stay as they were: %s", error.message)  # noqa: TRY400 - a sentence, not a trace

    def knows(self, username: str | None, password: str | None) -> bool:
        """Return whether `password` is that of `username`."""
        return bool(username) and matches(password or "", self._users.get(username or "", ""))

    def is_person(self, username: str) -> bool:
        """Return whether a user is a person."""
        return username in self._operators

    def may_publish(self, username: str, topic: str) -> bool:
        """Return whether a user may write to `topic`."""
        return allows(self._of(username), topic, WRITE)

    def may_subscribe(self, username: str, wanted: str) -> bool:
        """Return whether a user may read everything that the filter `wanted` asks for."""
        return covers(self._of(username), wanted)

    def may_receive(self, username: str, topic: str) -> bool:
        """Return whether a user may read `topic`."""
        return allows(self._of(username), topic, READ)

    def _of(self, username: str) -> Rules:
        return self._rules(username)
