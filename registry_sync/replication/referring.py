"""Has what names a subject be found by it, where the other registry does not see to that itself.

A registry with the referrers API answers a manifest that names a subject with ``OCI-Subject``. At
one that does not, the client keeps the list (OCI distribution-spec 1.1, "Pushing Manifests with
Subject").
"""

from dataclasses import dataclass, field
from typing import Any

from accounts.errors import Conflict
from registry_sync.client.errors import RegistryRejectedError
from registry_sync.client.managed import ManagedRegistry
from registry_sync.client.referrers import NoListError, tag_of
from registry_sync.models import Artifact


@dataclass(slots=True)
class Referring:
    """What of one image names a subject, until its subject's list holds it."""

    # By subject and digest.
    waiting: dict[str, dict[str, Artifact]] = field(default_factory=dict)
    # Subjects whose list could not be written, each with the reason.
    failed: dict[str, str] = field(default_factory=dict)
    # Whether the registry keeps lists itself; None until it has shown that.
    has_api: bool | None = None

    def sent(self, artifact: Artifact, noted: str) -> None:
        """Take up what was sent; ``noted``: what the registry answered as its subject."""
        if artifact.subject_digest and noted == artifact.subject_digest:
            self.has_api = self.has_api is not False
        elif artifact.subject_digest:
            self.has_api = False
            self.found(artifact)

    def found(self, artifact: Artifact) -> None:
        """Take up what was there already: whoever sent it may have broken off before its list."""
        if artifact.subject_digest:
            self.waiting.setdefault(artifact.subject_digest, {})[artifact.digest] = artifact

    def announce(self, client: ManagedRegistry, destination: str) -> None:
        """Have the lists hold all that waits. Raises ``RegistryError`` where that may yet do."""
        while self.waiting:
            subject, artifacts = next(iter(self.waiting.items()))
            if self.has_api is None:
                self.has_api = client.has_referrers_api(destination, subject)
            if not self.has_api:
                entries = [_entry(artifact) for artifact in artifacts.values()]
                try:
                    client.add_referrers(destination, subject, entries)
                except NoListError:
                    self.failed[subject] = "that tag is no list of referrers there, and stays"
                except RegistryRejectedError as error:
                    self.failed[subject] = f"the registry refuses that tag ({error})"
            del self.waiting[subject]

    def require_all(self, destination: str) -> None:
        """Raise ``Conflict`` where a list could not be written."""
        for subject, reason in self.failed.items():
            raise Conflict(
                f"{destination}:{tag_of(subject)}: {reason}. The image is there, but what is about "
                "it cannot be found by it"
            )


def _entry(artifact: Artifact) -> dict[str, Any]:
    """Describe it as the list does: an image without a type is of its config's."""
    entry: dict[str, Any] = {
        "mediaType": artifact.body.media_type,
        "digest": artifact.digest,
        "size": len(artifact.body.content),
    }
    if artifact.artifact_type:
        entry["artifactType"] = artifact.artifact_type
    if artifact.annotations:
        entry["annotations"] = artifact.annotations
    return entry
