"""Search: the same questions for the page, the palette and the API, each with a bound.

Where few rows are in question each is looked at. Among more, a word is found by how a name begins,
which an index answers, and anywhere within the names of the newest rows: the time does not grow
with the registry. Naming a repository as well brings the few rows back.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import RawSQL

from accounts.access import can_system, projects_where
from accounts.models import Project, User
from accounts.principals import Principal
from registry_sync.models import Artifact, Repository, Tag
from registry_sync.repositories import visible_to
from registry_sync.tag_filters import tags_for_people

MAX_WORDS = 6
# So many rows are looked at one by one; of more, only these newest ones.
MOST_EXACT = 20_000
NEWEST = 10_000
# Of one kind: no page shows more.
_MOST_FOUND = 100
# Of what was found, where there is more, so many are asked first whether they may be shown.
_FIRST_LOOK = 300
# Of those whose name begins with a word.
_CANDIDATES = 500
# Tags are looked for in so many repositories that match, those pushed to last.
_MOST_REPOSITORIES = 200
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
# Comes after every character that a name may have.
_LAST = "\x7f"


def words_of(text: str) -> list[str]:
    """Return what is looked for: each word must be found."""
    return text.replace("\0", "").split()[:MAX_WORDS]


def projects(principal: Principal, words: Sequence[str]) -> QuerySet[Project]:
    """Return the projects in whose names the words stand, by name."""
    found = Project.objects.visible_to(principal)
    # Such names have lower case only: the database need not change theirs.
    for word in words:
        found = found.filter(name__contains=word.lower())
    return found.order_by("name")


def repositories(
    principal: Principal, words: Sequence[str], action: str = "repository:list"
) -> QuerySet[Repository]:
    """Return the repositories in whose full names the words stand; the caller orders them."""
    return visible_to(principal, action).filter(_named(words))


def _named(words: Iterable[str]) -> Q:
    named = Q()
    for word in words:
        named &= repository_named(word)
    return named


def repository_named(text: str) -> Q:
    """Hold repositories to a text that stands in their full name, across its first slash too."""
    text = text.lower()
    project, slash, path = text.partition("/")
    named = Q(path__contains=text) | Q(project__name__contains=text)
    return named | Q(project__name__endswith=project, path__startswith=path) if slash else named


def tags(principal: Principal, words: Sequence[str]) -> QuerySet[Tag]:
    """Return tags, newest first: the last word is the tag's, those before it the repository's."""
    *place, name = words
    within = repositories(principal, place, "tag:list")
    named = tags_for_people(Tag.objects.filter(name__icontains=name))
    if _is_large(Tag.objects.filter(repository__in=within)):
        keys = _among_many(named, within, name, has_place=bool(place))
        named = Tag.objects.filter(pk__in=keys)
    else:
        named = named.filter(repository__in=within)
    return named.select_related("repository__project", "artifact").order_by("-pushed_at", "-pk")


def _among_many(
    named: QuerySet[Tag], within: QuerySet[Repository], name: str, *, has_place: bool
) -> list[int]:
    """Return the keys of what is found of more tags than can be looked at.

    Which of the candidates lie within is asked of their repositories: told all at once, a database
    begins with the repositories, of which it expects few, and reads all of their tags.
    """
    order = ("name", "-pushed_at")
    found = [Tag.objects.order_by("-pushed_at")[:NEWEST], *_beginning(Tag, order, name)]
    if has_place:
        latest = within.order_by("-pushed_at", "-pk")[:_MOST_REPOSITORIES]
        there = list(latest.values_list("pk", flat=True))
        found += _beginning(Tag, ("repository", "name"), name, repository__in=there)
    rows = named.filter(pk__in=_either(*found)).order_by("-pushed_at", "-pk")
    pairs = rows.values_list("pk", "repository_id")
    first = list(pairs[:_FIRST_LOOK])
    keys = _inside(first, within)
    if len(keys) < _MOST_FOUND and len(first) == _FIRST_LOOK:
        # Many of the newest are not this caller's, or lie elsewhere.
        keys = _inside(list(pairs), within)
    return keys


def _inside(pairs: Sequence[tuple[int, int]], within: QuerySet[Repository]) -> list[int]:
    """Return the first keys, of pairs with their repository's, whose repository lies within."""
    there = within.filter(pk__in={repository for _pk, repository in pairs}).order_by()
    known = set(there.values_list("pk", flat=True))
    return [pk for pk, repository in pairs if repository in known][:_MOST_FOUND]


def artifacts(principal: Principal, text: str) -> QuerySet[Artifact]:
    """Return the artifacts whose digest begins with the text; none where it is no digest."""
    found = _DIGEST.fullmatch(text)
    if found is None:
        return Artifact.objects.none()
    digest = f"sha256:{found[1]}"
    allowed = projects_where(principal, "artifact:list")
    return (
        Artifact.objects.live()
        # A range, which an index answers; no hexadecimal digit comes after g.
        .filter(repository__project__in=allowed, body_id__gte=digest, body_id__lt=f"{digest}g")
        .select_related("repository__project")
        .defer("config")
        .order_by("pk")
    )


def users(principal: Principal, words: Sequence[str]) -> QuerySet[User]:
    """Return the people with the words in name, full name or e-mail; none for who may not list."""
    if not can_system(principal, "user:list"):
        return User.objects.none()
    everybody = User.objects.filter(deleted_at=None)
    named = Q()
    for word in words:
        named &= (
            Q(username__contains=word.lower())
            | Q(realname__icontains=word)
            | Q(email__icontains=word)
        )
    if _is_large(everybody):
        newest = User.objects.order_by("-pk")[:NEWEST]
        named &= Q(pk__in=_either(newest, *_beginning(User, ("username",), words[0])))
    return everybody.filter(named).order_by("username")


def _is_large(found: QuerySet[Any]) -> bool:
    return found.order_by().values("pk")[: MOST_EXACT + 1].count() > MOST_EXACT


def _beginning(
    model: type[Model], order: tuple[str, ...], word: str, **within: object
) -> list[QuerySet[Any]]:
    """Return those whose name begins with the word: as written, in small letters, after a v.

    ``order`` is that of an index with the name: each is a range of it.
    """
    field = "name" if model is Tag else "username"
    found = []
    for start in sorted({word, word.lower(), f"v{word.lower()}"}):
        begins = {f"{field}__gte": start, f"{field}__lt": f"{start}{_LAST}"}
        rows = model._default_manager.filter(**begins, **within)
        found.append(rows.order_by(*order)[:_CANDIDATES])
    return found


def _either(*found: QuerySet[Any]) -> RawSQL:
    """Unite limited queries as one subquery, so that the database follows an index for each.

    The ORM's own union takes no limits on SQLite.
    """
    parts = [one.values("pk").query.sql_with_params() for one in found]
    united = ") AS part UNION ALL SELECT * FROM (".join(sql for sql, _values in parts)
    values = [value for _sql, values in parts for value in values]
    return RawSQL(f"SELECT * FROM ({united}) AS part", values)  # noqa: S608, S611 - the ORM's
