"""Which images a retention policy keeps, and why: the one evaluator of preview, dry run and run.

Plain Python: candidates of one repository in, verdicts with reasons out. An image is kept with all
its tags where any of its tags is kept, as in Harbor; rules only ever keep, so their order means
nothing. What no rule speaks of stays, unless the policy takes Harbor's reading.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from registry_sync.selectors import Selector

DAY = 86400.0
MAX_RULES = 15


class Template(StrEnum):
    """What a rule keeps of the images that it speaks of, by Harbor's names; the last is ours."""

    PUSHED = "latestPushedK"
    PULLED = "latestPulledN"
    PUSHED_DAYS = "nDaysSinceLastPush"
    PULLED_DAYS = "nDaysSinceLastPull"
    ALWAYS = "always"
    ACTIVE = "latestActiveK"
    LAST_DAYS = "lastXDays"
    NOTHING = "nothing"
    PATCHES = "latestPatchesN"


COUNTS = frozenset({Template.PUSHED, Template.PULLED, Template.ACTIVE, Template.PATCHES})
# Those that ask when something was pulled.
BY_PULLS = frozenset({Template.PULLED, Template.PULLED_DAYS, Template.ACTIVE})
AGES = frozenset({Template.PUSHED_DAYS, Template.PULLED_DAYS, Template.LAST_DAYS})


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``number`` is what people call it, from 1."""

    number: int
    template: Template
    parameter: int = 0
    repositories: tuple[Selector, ...] = (Selector("**"),)
    tags: tuple[Selector, ...] = (Selector("**"),)
    # Whether it speaks of images without a tag.
    is_untagged: bool = True

    def covers(self, path: str) -> bool:
        """Tell whether it speaks of a repository, named as below its project."""
        return all(selector.compiled()(path) for selector in self.repositories)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a policy's rules are read."""

    rules: tuple[Rule, ...]
    # Harbor's: in a repository that a rule covers, what no rule keeps goes.
    is_harbor: bool = False
    # Tags of this name, and images pulled in so many days, always stay; empty and 0 for none.
    keep_latest: bool = False
    keep_pulled_days: int = 0

    @property
    def asks_for_pulls(self) -> bool:
        """Whether it matters when something was pulled."""
        return bool(self.keep_pulled_days) or any(r.template in BY_PULLS for r in self.rules)


@dataclass(slots=True)
class Image:
    """A candidate: an artifact with its tags. Times are seconds since 1970; 0.0 for never."""

    key: int
    digest: str
    tags: list[str] = field(default_factory=list)
    pushed_at: float = 0.0
    pulled_at: float = 0.0
    # Why it is kept whatever the rules say; empty where only they decide.
    protection: str = ""


# Not frozen: there are millions, and to set the fields of a frozen one takes three times as long.
@dataclass(slots=True)
class Verdict:
    """What becomes of an image with all its tags, by which rule (0: none), and why."""

    image: Image
    is_kept: bool
    rule: int
    # A word for programs, and what belongs to it: ``count``, (11, 10).
    reason: str
    detail: tuple[Any, ...] = ()


def judge(reading: Reading, path: str, images: Sequence[Image], now: float) -> Iterator[Verdict]:
    """Yield a verdict on every image of one repository, in the order given.

    A count reaches over the images that the rule speaks of, protected ones too; equal times are
    told apart by the key, the newer first.
    """
    rules = [rule for rule in reading.rules if rule.covers(path)]
    # Ages are asked before counts: what is young enough needs no place among the last N.
    rules.sort(key=lambda rule: (rule.template in COUNTS, rule.number))
    judged = [_Judged(rule, images, now) for rule in rules]
    for image in images:
        yield _verdict(reading, image, judged, now)


class _Judged:
    """A rule, and what it says of each image of a repository."""

    __slots__ = ("detail", "rule", "spoken", "stays")

    def __init__(self, rule: Rule, images: Sequence[Image], now: float) -> None:
        self.rule = rule
        chosen = list(_spoken(rule, images))
        self.spoken = {image.key for image in chosen}
        self.detail: dict[int, tuple[Any, ...]] = {}
        self.stays = self._kept(chosen, now)

    def _kept(self, chosen: list[Image], now: float) -> set[int]:
        rule, count = self.rule, self.rule.parameter
        if rule.template == Template.ALWAYS:
            return self.spoken
        if rule.template == Template.NOTHING:
            return set()
        if rule.template in AGES:
            limit = now - count * DAY
            if rule.template == Template.PULLED_DAYS:
                return {i.key for i in chosen if i.pulled_at and i.pulled_at >= limit}
            return {i.key for i in chosen if i.pushed_at >= limit}
        kept: set[int] = set()
        groups = _lines(chosen) if rule.template == Template.PATCHES else [chosen]
        for group in groups:
            group.sort(key=_ORDERS[rule.template], reverse=True)
            kept.update(image.key for image in group[:count])
            for place, image in enumerate(group, start=1):
                self.detail[image.key] = (place, count)
        return kept


def _spoken(rule: Rule, images: Sequence[Image]) -> Iterable[Image]:
    matchers = [selector.compiled() for selector in rule.tags]
    if all(selector.pattern in {"*", "**"} and not selector.is_excluding for selector in rule.tags):
        return (image for image in images if image.tags or rule.is_untagged)
    if len(matchers) == 1:
        matches = matchers[0]
        return (
            image
            for image in images
            if (any(map(matches, image.tags)) if image.tags else rule.is_untagged)
        )
    # Each selector narrows by itself, as in Harbor: an image passes with any of its tags.
    return (
        image
        for image in images
        if (
            all(any(map(matches, image.tags)) for matches in matchers)
            if image.tags
            else rule.is_untagged
        )
    )


_ORDERS: dict[Template, Callable[[Image], tuple[Any, ...]]] = {
    Template.PUSHED: lambda image: (image.pushed_at, image.key),
    Template.PULLED: lambda image: (image.pulled_at, image.pushed_at, image.key),
    Template.ACTIVE: lambda image: (max(image.pushed_at, image.pulled_at), image.key),
    Template.PATCHES: lambda image: (version_of(image.tags) or (), image.key),
}
_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]+))?(?:\+.*)?")


def version_of(tags: Iterable[str]) -> tuple[Any, ...] | None:
    """Return the highest semantic version among the tags: comparable, candidates under releases.

    ``(major, minor, patch, is a release, parts of the pre-release)``.
    """
    found = [key for key in map(_version, tags) if key is not None]
    return max(found) if found else None


def _version(tag: str) -> tuple[Any, ...] | None:
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    major, minor, patch, suffix = match.groups()
    parts = tuple(
        (0, int(part), "") if part.isdecimal() and part.isascii() else (1, 0, part)
        for part in (suffix or "").split(".")
        if part
    )
    return int(major), int(minor), int(patch or 0), suffix is None, parts


def _lines(images: Iterable[Image]) -> list[list[Image]]:
    """Group by minor version, pre-releases apart; what is no version is a line of its own."""
    lines: dict[tuple[Any, ...], list[Image]] = {}
    for image in images:
        version = version_of(image.tags)
        line = (version[0], version[1], version[3]) if version else ("", image.key)
        lines.setdefault(line, []).append(image)
    return list(lines.values())


def _verdict(reading: Reading, image: Image, judged: list[_Judged], now: float) -> Verdict:
    if image.protection:
        return Verdict(image, is_kept=True, rule=0, reason=image.protection)
    if reading.keep_latest and "latest" in image.tags:
        return Verdict(image, is_kept=True, rule=0, reason="latest")
    days = reading.keep_pulled_days
    if days and image.pulled_at and image.pulled_at >= now - days * DAY:
        return Verdict(image, is_kept=True, rule=0, reason="pulled", detail=(days,))
    first: _Judged | None = None
    for rule in judged:
        if image.key in rule.stays:
            return _of(rule, image, is_kept=True)
        if first is None and image.key in rule.spoken:
            first = rule
    if first is not None:
        return _of(first, image, is_kept=False)
    is_kept = not (reading.is_harbor and judged)
    return Verdict(image, is_kept=is_kept, rule=0, reason="unspoken" if is_kept else "unmatched")


def _of(judged: _Judged, image: Image, *, is_kept: bool) -> Verdict:
    rule = judged.rule
    if rule.template in COUNTS:
        return Verdict(image, is_kept, rule.number, "count", judged.detail[image.key])
    if rule.template in AGES:
        return Verdict(image, is_kept, rule.number, "age", (rule.parameter,))
    return Verdict(image, is_kept, rule.number, rule.template.value)
