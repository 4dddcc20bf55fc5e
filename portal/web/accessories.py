"""What is about an image: signatures, SBOMs and other artifacts that name it as their subject."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from registry_sync.models import Artifact, Repository

_LIMIT = 50
# How the types of signatures and bills of materials begin, whoever made them.
_SIGNATURES = (
    "application/vnd.dev.cosign.",
    "application/vnd.dev.sigstore.bundle",
    "application/vnd.cncf.notary.signature",
)
_BILLS = (
    "application/spdx",
    "text/spdx",
    "application/vnd.cyclonedx",
    "application/vnd.syft",
    "application/vnd.goharbor.harbor.sbom",
)


@dataclass(frozen=True, slots=True)
class Accessory:
    """An artifact about another one, as its row shows it."""

    artifact: Artifact

    @property
    def kind(self) -> str:
        """``signature``, ``sbom`` or ``other``."""
        if self.artifact.artifact_type.startswith(_SIGNATURES):
            return "signature"
        return "sbom" if self.artifact.artifact_type.startswith(_BILLS) else "other"


def _about(repository: Repository) -> QuerySet[Artifact]:
    return Artifact.objects.live().filter(repository=repository)


def accessories_of(repository: Repository, digest: str) -> list[Accessory]:
    """Return the newest artifacts about this one, signatures first."""
    found = _about(repository).filter(subject_digest=digest).defer("config", "annotations")
    order = ("signature", "sbom", "other")
    rows = [Accessory(artifact) for artifact in found[:_LIMIT]]
    return sorted(rows, key=lambda row: order.index(row.kind))


def signed_among(repository: Repository, digests: Iterable[str]) -> set[str]:
    """Return those of the digests to which a signature belongs; one query.

    Older cosign ties a signature to a digest by a tag's name, ``sha256-<hex>.sig``.
    """
    wanted = set(digests)
    is_signature = Q()
    for beginning in _SIGNATURES:
        is_signature |= Q(artifact_type__startswith=beginning)
    by_subject = _about(repository).filter(is_signature, subject_digest__in=wanted)
    found = set(by_subject.values_list("subject_digest", flat=True))
    by_tag = {f"{digest.replace(':', '-')}.sig": digest for digest in wanted - found}
    names = repository.tags.filter(name__in=by_tag, artifact__trash_entry=None)
    return found | {by_tag[name] for name in names.values_list("name", flat=True)}
