"""What is about an artifact: signatures, SBOMs and whatever else names it as its subject.

Two ways tie it to the artifact: the manifest's ``subject`` (OCI image-spec 1.1), or, by older
cosign, the name of a tag, ``sha256-<hex>.sig``.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Q

from registry_sync.models import Artifact, Repository, Tag

# (repository's id, digest): an artifact as its accessories know it.
Place = tuple[int, str]

# How the tags end that cosign ties to a digest.
_SUFFIXES = ("sig", "att", "sbom")
_TOOL_TAG = re.compile(r"sha256-([0-9a-f]{64})(?:\.(.*))?")
# The same for the database: a range, which an index answers on SQLite too; "." comes after "-".
TOOL_TAG = Q(name__gte="sha256-", name__lt="sha256.") & Q(
    name__regex=r"^sha256-[0-9a-f]{64}(\..*)?$"
)
# How the types of bills of materials and signatures begin, whoever made them.
_BILLS = (
    "application/spdx",
    "text/spdx",
    "application/vnd.cyclonedx",
    "application/vnd.syft",
    "application/vnd.goharbor.harbor.sbom",
    "application/vnd.dev.cosign.artifact.sbom",
)
_COSIGN = ("application/vnd.dev.cosign.", "application/vnd.dev.sigstore.bundle")
_NOTATION = ("application/vnd.cncf.notary.signature",)
_SIGNATURES = _COSIGN + _NOTATION


class Kind(StrEnum):
    """What an accessory is, by the contract's names."""

    COSIGN = "signature.cosign"
    NOTATION = "signature.notation"
    SBOM = "sbom.harbor"
    OTHER = "subject.accessory"


@dataclass(frozen=True, slots=True)
class Accessory:
    """An artifact about another one."""

    artifact: Artifact
    subject_digest: str
    # By which tag it belongs to its subject; empty where its manifest says so itself.
    tag: str = ""

    @property
    def kind(self) -> Kind:
        """What it is, by its type or by its tag."""
        named = self.artifact.artifact_type
        if self.tag.endswith(".sbom") or named.startswith(_BILLS):
            return Kind.SBOM
        if self.tag.endswith(".sig") or named.startswith(_COSIGN):
            return Kind.COSIGN
        return Kind.NOTATION if named.startswith(_NOTATION) else Kind.OTHER

    @property
    def is_signature(self) -> bool:
        """True for a signature, whoever made it."""
        return self.kind in {Kind.COSIGN, Kind.NOTATION}

    @property
    def is_bill(self) -> bool:
        """True for a software bill of materials."""
        return self.kind == Kind.SBOM


def subject_of_tag(name: str) -> str:
    """Return the digest that a tool's tag is about; empty for every other tag."""
    found = _TOOL_TAG.fullmatch(name)
    return f"sha256:{found[1]}" if found else ""


def tool_tags(digest: str) -> list[str]:
    """Return the tags by which cosign ties something to a digest."""
    return [f"{digest.replace(':', '-')}.{suffix}" for suffix in _SUFFIXES]


def accessories_among(
    repository_ids: Collection[int], digests: Collection[str]
) -> Mapping[Place, list[Accessory]]:
    """Return the accessories of each of these digests in these repositories, oldest first.

    Two queries, however many there are.
    """
    found: dict[Place, dict[int, Accessory]] = defaultdict(dict)
    live = Artifact.objects.live().filter(repository_id__in=repository_ids)
    live = live.defer("config", "annotations").order_by("pk")
    for artifact in live.filter(subject_digest__in=digests):
        place = artifact.repository_id, artifact.subject_digest
        found[place][artifact.pk] = Accessory(artifact, artifact.subject_digest)
    names = [name for digest in digests for name in tool_tags(digest)]
    tags = Tag.objects.filter(repository_id__in=repository_ids, name__in=names)
    tags = tags.filter(artifact__isnull=False, artifact__trash_entry=None)
    tags = tags.select_related("artifact").defer("artifact__config", "artifact__annotations")
    for tag in tags.order_by("artifact_id"):
        subject = subject_of_tag(tag.name)
        if tag.artifact is not None and tag.artifact.digest != subject:
            place = tag.repository_id, subject
            found[place].setdefault(tag.artifact.pk, Accessory(tag.artifact, subject, tag.name))
    return {place: list(rows.values()) for place, rows in found.items()}


def accessories_of(repository: Repository, digest: str) -> list[Accessory]:
    """Return the accessories of one artifact: signatures, SBOMs, the others; the newest first."""
    rows = accessories_among([repository.pk], [digest]).get((repository.pk, digest), [])
    order = list(Kind)
    return sorted(rows, key=lambda row: (order.index(row.kind), -row.artifact.pk))


def signed_among(repository: Repository, digests: Iterable[str]) -> set[str]:
    """Return those of the digests to which a signature belongs; two queries."""
    wanted = set(digests)
    is_signature = Q()
    for beginning in _SIGNATURES:
        is_signature |= Q(artifact_type__startswith=beginning)
    live = Artifact.objects.live().filter(repository=repository)
    by_subject = live.filter(is_signature, subject_digest__in=wanted)
    found = set(by_subject.values_list("subject_digest", flat=True))
    by_tag = {f"{digest.replace(':', '-')}.sig": digest for digest in wanted - found}
    names = repository.tags.filter(name__in=by_tag, artifact__trash_entry=None)
    return found | {by_tag[name] for name in names.values_list("name", flat=True)}
