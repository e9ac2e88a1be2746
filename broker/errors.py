"""Every error a user can meet, in one tree.

EdgeWattError                 what happened, `code` for programs, `hint` for people
├── WireError                 a payload, topic or device id outside the contract
├── LinkError                 the broker cannot be reached or refused us
├── InvalidError              a request with a field that makes no sense
├── NotFoundError             no such device, model or deployment
├── ConflictError             the thing is in a state that does not allow this
├── RefusedError              the gate said no; carries the verdict
├── ArtifactError             a model file that is damaged, foreign or missing
├── StorageError              the disk is full or cannot be written
├── RuntimeUnavailableError   no installed runtime runs this format
├── AccessError               nobody signed in, the role does not allow it, or it is too much at once
└── UnreachableError          the controller, or a service that it asks, does not answer
"""

from typing import Any


class EdgeWattError(Exception):
    """A failure with a sentence for people, a code for programs and a hint what to do."""

    code = "error"

    def __init__(self, message: str, *, code: str = "", hint: str = "", **facts: Any) -> None:
        """Keep `message` and `facts`; `code` narrows the class's own."""
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.hint = hint
        self.facts = facts


class WireError(EdgeWattError):
    """A payload, topic or device id outside the contract."""

    code = "malformed"


class LinkError(EdgeWattError):
    """The broker cannot be reached, or refused the connection."""

    code = "broker_unreachable"


class InvalidError(EdgeWattError):
    """A request with a field that makes no sense."""

    code = "invalid"


class NotFoundError(EdgeWattError):
    """No such device, model or deployment."""

    code = "not_found"


class ConflictError(EdgeWattError):
    """The thing is in a state that does not allow this."""

    code = "conflict"


class RefusedError(EdgeWattError):
    """The gate said no; `facts` carries the verdict."""

    code = "over_budget"


class ArtifactError(EdgeWattError):
    """A model file that is damaged, foreign or missing."""

    code = "bad_artifact"


class StorageError(EdgeWattError):
    """The disk is full or cannot be written."""

    code = "disk_full"


class RuntimeUnavailableError(EdgeWattError):
    """No installed runtime runs this format."""

    code = "no_runtime"


class AccessError(EdgeWattError):
    """Nobody signed in, the role does not allow it, or it is too much at once (`retry_after_s` among the facts)."""

    code = "not_allowed"


class UnreachableError(EdgeWattError):
    """The controller, or a service that it asks, does not answer."""

    code = "unreachable"
