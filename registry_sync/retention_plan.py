"""What a policy would remove now: verdicts streamed, totals, and whether the brake stops a run."""

import datetime
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from registry_sync import freeing, trash
from registry_sync.models import Artifact, Repository
from registry_sync.retention_candidates import candidates
from registry_sync.retention_rules import Reading, Verdict, judge

# So many images may go for their bytes to be counted across the whole project; of more each
# repository is counted by itself, and what several of them share is left out.
_TOGETHER = 50_000
# More than half of a project goes only where somebody has seen and confirmed it.
BRAKE_PERCENT = 50


@dataclass(frozen=True, slots=True)
class Judged:
    """One repository with the verdicts on its images."""

    repository: Repository
    verdicts: list[Verdict]


@dataclass(slots=True)
class Totals:
    """What the verdicts come to; tags where nothing else is said."""

    kept: int = 0
    removed: int = 0
    images: int = 0
    removed_images: int = 0
    # Images that each rule kept, by its number.
    by_rule: Counter[int] = field(default_factory=Counter)
    # Repositories of which no image would be left.
    emptied: list[str] = field(default_factory=list)

    def count(self, judged: Judged) -> None:
        """Count one repository."""
        gone = 0
        for verdict in judged.verdicts:
            tags = len(verdict.image.tags)
            if verdict.is_kept:
                self.kept += tags
                self.by_rule[verdict.rule] += 1
            else:
                self.removed += tags
                gone += 1
        self.images += len(judged.verdicts)
        self.removed_images += gone
        if gone and gone == len(judged.verdicts):
            self.emptied.append(judged.repository.path)

    @property
    def percent(self) -> int:
        """How much of the project goes, in whole percent, rounded up."""
        return -(-100 * self.removed_images // self.images) if self.images else 0

    def brake(self, *, confirmed_percent: int = 0, may_empty: bool = False) -> str:
        """Say why a run must stop before it removes anything; empty where it may go on."""
        if self.percent > max(BRAKE_PERCENT, confirmed_percent):
            return _(
                "It would remove %(removed)d of %(all)d images (%(percent)d%%); look at the "
                "preview and confirm it"
            ) % {"removed": self.removed_images, "all": self.images, "percent": self.percent}
        if self.emptied and not may_empty:
            return _("It would leave nothing in %(names)s; look at the preview and confirm it") % {
                "names": ", ".join(self.emptied[:5])
            }
        return ""


def judged(
    project_id: int, reading: Reading, now: datetime.datetime, *, path: str = ""
) -> Iterator[Judged]:
    """Yield each repository with its verdicts, one after the other: nothing is collected."""
    moment = now.timestamp()
    for found in candidates(project_id, now, path=path):
        verdicts = judge(reading, found.repository.path, found.images, moment)
        yield Judged(found.repository, list(verdicts))


def frees(project_id: int, going: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Return by image the bytes that leave the quota when all of these go.

    ``going`` are images' ids by their repositories'. Manifests and accessories that go along are
    counted with their images; the sum is what the quota will show.
    """
    owners: dict[int, int] = {}
    freed: dict[int, int] = {}
    is_together = sum(map(len, going.values())) <= _TOGETHER
    for repository_id, keys in going.items():
        repository = Repository.objects.get(pk=repository_id)
        own: dict[int, int] = {}
        for start in range(0, len(keys), _TOGETHER):
            part = keys[start : start + _TOGETHER]
            rows = Artifact.objects.filter(pk__in=part).defer("config", "annotations")
            whole = trash.whole(repository, list(rows), with_children=True)
            own |= {artifact.pk: root for root, group in whole.items() for artifact in group}
        owners |= own
        if not is_together:
            _add(freed, freeing.freed_by(project_id, own), own)
    if is_together:
        _add(freed, freeing.freed_by(project_id, owners), owners)
    return freed


def _add(freed: dict[int, int], sizes: Mapping[int, int], owners: Mapping[int, int]) -> None:
    for artifact_id, size in sizes.items():
        root = owners[artifact_id]
        freed[root] = freed.get(root, 0) + size
