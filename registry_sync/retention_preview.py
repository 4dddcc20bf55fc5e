"""What a policy would do now, tag by tag: for pages, programs and files."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from accounts.models import Project
from accounts.principals import Actor
from registry_sync import retention_policies
from registry_sync.models import RetentionPolicy
from registry_sync.retention_plan import Judged, Totals, frees, judged
from registry_sync.retention_policies import reading_of
from registry_sync.retention_rules import Reading, Verdict
from registry_sync.retention_words import why

# Of more images that go the bytes are not counted unless they are asked for.
COUNT_BYTES_UP_TO = 20_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are wanted: ``verdict`` is keep, remove or empty; ``text`` is part of a tag."""

    text: str = ""
    verdict: str = ""
    repository: str = ""
    start: int = 0
    size: int = 50


@dataclass(frozen=True, slots=True)
class Row:
    """One tag's verdict; an image without a tag has an empty one."""

    repository: str
    tag: str
    digest: str
    is_kept: bool
    rule: int
    reason: str
    detail: tuple[Any, ...]
    pushed_at: datetime.datetime
    pulled_at: datetime.datetime | None
    # Bytes that go with its image; with the first of its tags.
    frees: int | None = None

    @property
    def why(self) -> str:
        """The reason in words."""
        return why(self.reason, self.rule, self.detail, is_kept=self.is_kept)


@dataclass(slots=True)
class Preview:
    """Totals, and the rows that were asked for."""

    totals: Totals
    rows: list[Row] = field(default_factory=list)
    # How many rows match the filter.
    matching: int = 0
    freed_bytes: int | None = None


def preview(
    project: Project, reading: Reading, wanted: Filter, *, with_bytes: bool = False
) -> Preview:
    """Judge the whole project; return the totals and one page of rows.

    The bytes are counted where few images go, or ``with_bytes``.
    """
    found = Preview(Totals())
    shown: list[tuple[Judged, Verdict, str]] = []
    going: dict[int, list[int]] = {}
    end = wanted.start + wanted.size
    for part in judged(project.pk, reading, timezone.now()):
        found.totals.count(part)
        for verdict in part.verdicts:
            if not verdict.is_kept:
                going.setdefault(part.repository.pk, []).append(verdict.image.key)
            for tag in _matching(part, verdict, wanted):
                if wanted.start <= found.matching < end:
                    shown.append((part, verdict, tag))
                found.matching += 1
    freed: dict[int, int] | None = None
    if with_bytes or found.totals.removed_images <= COUNT_BYTES_UP_TO:
        freed = frees(project.pk, going)
        found.freed_bytes = sum(freed.values())
    found.rows = [_row(part, verdict, tag, freed) for part, verdict, tag in shown]
    return found


def _matching(part: Judged, verdict: Verdict, wanted: Filter) -> Iterator[str]:
    if wanted.verdict and (wanted.verdict == "keep") != verdict.is_kept:
        return
    if wanted.repository and wanted.repository != part.repository.path:
        return
    for tag in verdict.image.tags or [""]:
        if not wanted.text or wanted.text in f"{part.repository.path}:{tag}":
            yield tag


def _row(part: Judged, verdict: Verdict, tag: str, freed: dict[int, int] | None) -> Row:
    image = verdict.image
    is_first = not image.tags or tag == image.tags[0]
    size = None
    if freed is not None and not verdict.is_kept:
        size = freed.get(image.key, 0) if is_first else 0
    return Row(
        part.repository.path,
        tag,
        image.digest,
        verdict.is_kept,
        verdict.rule,
        verdict.reason,
        verdict.detail,
        _moment(image.pushed_at),
        _moment(image.pulled_at) if image.pulled_at else None,
        size,
    )


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)


def rows(project: Project, reading: Reading, *, repository: str = "") -> Iterator[Row]:
    """Yield every verdict, repository by repository; nothing is collected."""
    for part in judged(project.pk, reading, timezone.now(), path=repository):
        for verdict in part.verdicts:
            for tag in verdict.image.tags or [""]:
                yield _row(part, verdict, tag, None)


def confirm(policy: RetentionPolicy, *, version: int, actor: Actor) -> Totals:
    """Confirm a policy as it is: a run may remove what this preview does, and no more.

    Raises ``Conflict`` where it is another version than the one that was looked at.
    """
    totals = Totals()
    for part in judged(policy.project_id, reading_of(policy), timezone.now()):
        totals.count(part)
    retention_policies.confirm(
        policy,
        version=version,
        percent=totals.percent,
        empties=bool(totals.emptied),
        actor=actor,
    )
    return totals
