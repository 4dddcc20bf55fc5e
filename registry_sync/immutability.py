"""Immutable rules: a tag that one of them holds is neither moved nor deleted.

A tag of a held name can be made; from then on it stays what it is. Rules change under the lock of
the project's usage row, which every writer of tags holds: whoever commits after a rule is told by
it. What cannot be decided is refused.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.db import DatabaseError
from django.utils.translation import gettext as _
from wcmatch import glob

from accounts import statements
from accounts.errors import PreconditionFailed, Unavailable
from accounts.statements import Statement
from registry_sync.accessories import subject_of_tag
from registry_sync.models import Artifact, ImmutableRule, Repository, Tag
from registry_sync.models.immutability import Match

# Doublestar: ``*`` ends at a slash, ``**`` does not, ``{a,b}`` is a choice; the whole name counts.
_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
# So many alternatives may the braces of a pattern make.
_ALTERNATIVES = 100
EVERYTHING = "**"


@dataclass(frozen=True, slots=True)
class Rule:
    """Which tags of which repositories are held."""

    tag_pattern: str
    tag_match: str = Match.MATCHES
    repository_pattern: str = EVERYTHING
    repository_match: str = Match.MATCHES

    def covers(self, path: str) -> bool:
        """Tell whether it speaks of a repository, named as below its project."""
        return _applies(self.repository_match, self.repository_pattern, path)

    def holds(self, path: str, tag: str) -> bool:
        """Tell whether it holds a tag. What tools tie to a digest by name follows that image."""
        if subject_of_tag(tag):
            return False
        return self.covers(path) and _applies(self.tag_match, self.tag_pattern, tag)

    def __str__(self) -> str:
        return _("in %(repositories)s, %(tags)s") % {
            "repositories": self.repositories,
            "tags": self.tags,
        }

    @property
    def repositories(self) -> str:
        """Its repositories in words."""
        if self.repository_pattern == EVERYTHING and self.repository_match == Match.MATCHES:
            return _("every repository")
        if self.repository_match == Match.MATCHES:
            text = _("repositories that match %(pattern)s")
        else:
            text = _("repositories that do not match %(pattern)s")
        return text % {"pattern": self.repository_pattern}

    @property
    def tags(self) -> str:
        """Its tags in words."""
        if self.tag_pattern in {"*", EVERYTHING} and self.tag_match == Match.MATCHES:
            return _("every tag")
        if self.tag_match == Match.MATCHES:
            text = _("tags that match %(pattern)s")
        else:
            text = _("tags that do not match %(pattern)s")
        return text % {"pattern": self.tag_pattern}


def is_pattern(text: str) -> bool:
    """Tell whether a text can be used as a pattern."""
    try:
        _compiled(text)
    except Exception:
        # wcmatch tells of too many alternatives by an exception that it keeps to itself.
        return False
    return bool(text) and "\0" not in text


def _applies(match: str, pattern: str, name: str) -> bool:
    return _compiled(pattern).match(name) == (Match(match) == Match.MATCHES)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> "glob.WcMatcher[str]":
    return glob.compile(pattern, flags=_FLAGS, limit=_ALTERNATIVES)


# --- The rules of a project -----------------------------------------------------------------------


_COLUMNS = "i.tag_pattern, i.tag_match, i.repository_pattern, i.repository_match"
_RULES = f"""
SELECT {_COLUMNS} FROM registry_sync_immutablerule i
WHERE i.project_id = %s AND NOT i.is_disabled ORDER BY i.id
"""  # noqa: S608 - names of our own
# Only where the tag is there and points elsewhere: a first push, or the same again, asks nothing.
_RULES_ON_MOVE = f"""
SELECT {_COLUMNS}, a.digest FROM registry_sync_immutablerule i
JOIN registry_sync_tag t ON t.repository_id = %s AND t.name = %s
JOIN registry_sync_artifact a ON a.id = t.artifact_id AND a.digest <> %s
WHERE i.project_id = %s AND NOT i.is_disabled ORDER BY i.id
"""  # noqa: S608 - names of our own


def rules_of(project_id: int) -> list[Rule]:
    """Return the rules that are in force in a project. Raises ``Unavailable``."""
    return [Rule(*row) for row in _asked(Statement(_RULES, [project_id]))]


def rule_of(row: ImmutableRule) -> Rule:
    """Return what a stored rule says."""
    return Rule(row.tag_pattern, row.tag_match, row.repository_pattern, row.repository_match)


def holding(rules: Iterable[Rule], path: str, tag: str) -> Rule | None:
    """Return the first rule that holds the tag. Raises ``Unavailable`` where one is unreadable."""
    try:
        return next((rule for rule in rules if rule.holds(path, tag)), None)
    except Exception as error:
        raise Unavailable(_("An immutable rule cannot be read.")) from error


def _asked(statement: Statement) -> list[tuple[str, ...]]:
    try:
        return statements.run(statement)
    except DatabaseError as error:
        raise Unavailable(_("The immutable rules cannot be read; try again.")) from error


# --- The doors ------------------------------------------------------------------------------------


def require_pushable(repository: Repository, tag: str, digest: str) -> None:
    """Say early what a commit would refuse: no lock is held.

    Raises ``PreconditionFailed`` with the rule, ``Unavailable`` where that cannot be decided.
    """
    if not tag:
        return
    asked = [repository.pk, tag, digest, repository.project_id]
    rows = _asked(Statement(_RULES_ON_MOVE, asked))
    if rows:
        rule = holding((Rule(*row[:4]) for row in rows), repository.path, tag)
        _refuse(rule, tag, rows[0][4])


def require_movable(repository: Repository, tag: str, *, current: str, target: str) -> None:
    """Raise as ``require_pushable``; the caller holds the locks and knows where the tag points.

    ``current`` is empty for a tag that is new: nothing holds it yet.
    """
    if tag and current and current != target:
        _refuse(holding(rules_of(repository.project_id), repository.path, tag), tag, current)


def _refuse(rule: Rule | None, tag: str, digest: str) -> None:
    if rule is not None:
        raise PreconditionFailed(
            _("the tag %(tag)s is immutable (%(rule)s) and stays at %(digest)s")
            % {"tag": tag, "rule": rule, "digest": digest[:19]}
        )


def require_deletable(
    repository: Repository, tags: Collection[Tag], artifacts: Sequence[Artifact] = ()
) -> None:
    """Raise ``PreconditionFailed`` where a rule holds one of what is to be deleted together."""
    for reason in obstacles(repository, tags, artifacts).values():
        raise PreconditionFailed(reason)


def obstacles(
    repository: Repository, tags: Collection[Tag], artifacts: Sequence[Artifact] = ()
) -> dict[str, str]:
    """Return which of these tags (by name) and artifacts (by digest) must stay, and why.

    A signature, or whatever else is about an image, stays with an image that a rule holds.
    """
    rules = rules_of(repository.project_id)
    found: dict[str, str] = {}
    if not rules:
        return found
    going = {artifact.digest for artifact in artifacts}
    about = {tag.name: subject_of_tag(tag.name) for tag in tags}
    about |= {artifact.digest: artifact.subject_digest for artifact in artifacts}
    for tag in tags:
        if rule := holding(rules, repository.path, tag.name):
            found[tag.name] = _("the tag %(tag)s is immutable (%(rule)s)") % {
                "tag": tag.name,
                "rule": rule,
            }
    held = _held(repository, rules, set(about.values()) - going - {""})
    for name, subject in about.items():
        if subject in held:
            found.setdefault(
                name,
                _("it belongs to the image of %(tag)s, which is immutable (%(rule)s)")
                % held[subject],
            )
    return found


def _held(
    repository: Repository, rules: Sequence[Rule], digests: Collection[str]
) -> dict[str, dict[str, object]]:
    """Return those of the digests on which a held tag is, with that tag and its rule."""
    found: dict[str, dict[str, object]] = {}
    if not digests:
        return found
    rows = Tag.objects.filter(repository=repository, artifact__body_id__in=digests)
    for digest, name in rows.order_by("name").values_list("artifact__body_id", "name"):
        rule = holding(rules, repository.path, name)
        if rule is not None and digest is not None:
            found.setdefault(digest, {"tag": name, "rule": rule})
    return found


def held_among(repository: Repository, names: Iterable[str]) -> dict[str, Rule]:
    """Return those of the tags that a rule holds, each with the rule; one query."""
    rules = rules_of(repository.project_id)
    found = {}
    for name in names:
        if rules and (rule := holding(rules, repository.path, name)):
            found[name] = rule
    return found
