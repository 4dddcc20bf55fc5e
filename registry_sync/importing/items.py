"""What is written of an import, and what a batch of it brought."""

from dataclasses import dataclass, field

from registry_sync.image_config import ImageFacts
from registry_sync.importing.drafts import Draft, Left
from registry_sync.models import Repository

# A repository and a digest: what names an artifact.
Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Item:
    """A manifest with everything that is known of it; ``sizes`` are its blobs' bytes."""

    repository: Repository
    draft: Draft
    facts: ImageFacts
    sizes: dict[str, int]

    @property
    def key(self) -> Key:
        """Names the artifact it becomes."""
        return self.repository.pk, self.draft.digest


@dataclass(slots=True)
class Written:
    """What a batch brought."""

    images: list[Item] = field(default_factory=list)
    tags: int = 0
    # Manifests and tags that were there.
    unchanged: int = 0
    left: list[Left] = field(default_factory=list)
