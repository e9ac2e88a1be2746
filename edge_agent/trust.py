"""Refuses artifacts that the holder of the configured key has not signed for this very deployment."""

from dataclasses import dataclass

from broker.commands import Command
from broker.errors import ArtifactError
from broker.signing import Verifier, canonical_manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom this device believes; without a `verifier` everybody who may send commands."""

    verifier: Verifier | None = None

    @classmethod
    def of(cls, verify_key: str) -> "Trust":
        """Return the trust in `verify_key`, in everybody when it is empty. Raises InvalidError (`bad_key`)."""
        return cls(verifier=Verifier(verify_key) if verify_key else None)

    def check(self, command: Command) -> None:
        """Raise ArtifactError (`bad_signature`) unless what `command` names is signed as it stands there."""
        ref = command.artifact
        if self.verifier is None or ref is None:
            return
        manifest = canonical_manifest(
            model=command.model, sha256=ref.sha256, size=ref.size, format=ref.format, gen=command.gen
        )
        if not self.verifier.accepts(ref.sig, manifest):
            what = "carries no signature" if ref.sig is None else "is not signed with this device's key"
            raise ArtifactError(
                f"the artifact of {command.model or ref.sha256[:12]} {what}",
                code="bad_signature",
                hint="set EDGEWATT_SIGNING_KEY_FILE on the controller to the key that belongs to verify_key",
            )
