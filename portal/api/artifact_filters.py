"""Which artifacts a list shows: those pushed for their own sake, by ``q`` and ``sort``."""

from collections.abc import Callable, Collection

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from rest_framework.request import Request

from accounts.errors import BadRequest
from portal.api import query
from registry_sync.accessories import TOOL_TAG
from registry_sync.artifact_types import has_type
from registry_sync.models import (
    Artifact,
    ArtifactBlob,
    ArtifactLabel,
    ArtifactReference,
    Tag,
)

_TEXTS = {"digest": "body__digest", "artifact_type": "artifact_type"}
_TIMES = {"push_time": "pushed_at"}
_OWN = ("tags", "type", "labels", "media_type", "size")
_SORTS = {
    "id": "pk",
    "digest": "body__digest",
    "push_time": "pushed_at",
    "size": "size",
    "artifact_type": "artifact_type",
    "manifest_media_type": "media_type",
}


def top_level(found: QuerySet[Artifact]) -> QuerySet[Artifact]:
    """Leave out what is there for another's sake, unless somebody gave it a tag."""
    parents = ArtifactReference.objects.filter(child=OuterRef("pk"), parent__trash_entry=None)
    tags = Tag.objects.filter(artifact=OuterRef("pk"))
    own = Q(subject_digest="") & ~Exists(parents) & ~Exists(tags.filter(TOOL_TAG))
    return found.filter(own | Exists(tags.exclude(TOOL_TAG)))


def count_top_level(repository_ids: Collection[int]) -> dict[int, int]:
    """Count what ``top_level`` keeps of each repository's live artifacts, of those with any.

    All are counted by an index, and the few looked at that may be there for another's sake.
    """
    live = Artifact.objects.live().filter(repository__in=repository_ids).order_by()
    tags = Tag.objects.filter(repository__in=repository_ids)
    # That an index lives is asked of the few found: asked with the rest, SQLite goes through all
    # that lives.
    here = Artifact.objects.filter(repository__in=repository_ids, kind=Artifact.Kind.INDEX)
    held = ArtifactReference.objects.filter(parent__in=here.order_by(), parent__trash_entry=None)
    children = held.order_by().values("child")
    about = Q(pk__in=tags.filter(TOOL_TAG).order_by().values("artifact"))
    # Not "not empty", which would look at every row.
    about |= Q(subject_digest__gt="")
    named = Tag.objects.filter(artifact=OuterRef("pk")).exclude(TOOL_TAG)
    is_hidden = (Q(pk__in=children) | about) & Q(~Exists(named))
    counted = live.values("repository_id").annotate(
        n=Count("*"), hidden=Count("pk", filter=is_hidden)
    )
    rows = counted.values_list("repository_id", "n", "hidden")
    return {repository_id: n - hidden for repository_id, n, hidden in rows}


def filtered(found: QuerySet[Artifact], request: Request) -> QuerySet[Artifact]:
    """Apply ``q`` and ``sort``."""
    found = query.matching(found, request, _TEXTS, times=_TIMES, others=_OWN)
    for name, value in query.conditions(request):
        if name == "tags":
            found = _tagged(found, value)
        elif name == "labels":
            found = _labelled(found, value)
        elif name == "type":
            found = found.filter(_any_of(value, has_type, "type"))
        elif name == "media_type":
            found = found.filter(_any_of(value, _has_media_type, "media_type"))
        elif name == "size":
            found = found.filter(_sized(value))
    return ordered(found, request)


def ordered(found: QuerySet[Artifact], request: Request) -> QuerySet[Artifact]:
    """Apply ``sort`` alone; without it the newest come first."""
    return query.ordered(found, request, _SORTS)


def latest_in_repository(found: QuerySet[Artifact], request: Request) -> QuerySet[Artifact]:
    """Keep each repository's newest of those found, where the caller asks for that."""
    parameter = "latest_in_repository"
    if not query.boolean(request.query_params.get(parameter), parameter):
        return found
    if not {"artifact_type", "media_type"} & {name for name, _value in query.conditions(request)}:
        raise BadRequest(
            f"{parameter} needs artifact_type or media_type in q.", field="latest_in_repository"
        )
    newest = found.filter(repository=OuterRef("repository")).order_by("-pushed_at", "-pk")
    return found.filter(pk=Subquery(newest.values("pk")[:1]))


def _tagged(found: QuerySet[Artifact], value: str) -> QuerySet[Artifact]:
    """Read ``tags=*`` (any), ``tags=nil`` (none), ``tags=name`` and ``tags=~part``."""
    tags = Tag.objects.filter(artifact=OuterRef("pk"))
    if value == "nil":
        return found.filter(~Exists(tags))
    if value[:1] in {"{", "(", "["}:
        raise BadRequest("q reads tags=name, tags=~part, tags=* and tags=nil.", field="q")
    if value.startswith("~"):
        tags = tags.filter(name__icontains=value[1:])
    elif value != "*":
        tags = tags.filter(name=value)
    return found.filter(Exists(tags))


def _labelled(found: QuerySet[Artifact], value: str) -> QuerySet[Artifact]:
    """Read ``labels=1``, ``labels=(1 2)`` (all of them) and ``labels={1 2}`` (one of them)."""
    read = [query.integer(word, "labels") for word in _words(value)]
    numbers = [number for number in read if number is not None]
    labelings = ArtifactLabel.objects.filter(artifact=OuterRef("pk"))
    if not numbers or value[:1] in {"[", "~"}:
        raise BadRequest("q reads labels=1, labels=(1 2) and labels={1 2}.", field="q")
    if value.startswith("{"):
        return found.filter(Exists(labelings.filter(label_id__in=numbers)))
    for number in numbers:
        found = found.filter(Exists(labelings.filter(label_id=number)))
    return found


def _any_of(value: str, condition: Callable[[str], Q], name: str) -> Q:
    """Read ``name=value`` and ``name={one other}``."""
    if value[:1] in {"[", "(", "~"}:
        raise BadRequest(f"q reads {name}=value and {name}={{one other}}.", field="q")
    found = Q(pk__in=())
    for word in _words(value):
        found |= condition(word)
    return found


def _has_media_type(name: str) -> Q:
    """The configuration's media type; an index's own."""
    configurations = ArtifactBlob.objects.filter(
        artifact=OuterRef("pk"), position=0, media_type=name
    )
    return Q(kind=Artifact.Kind.INDEX, media_type=name) | Q(Exists(configurations))


def _sized(value: str) -> Q:
    """Read ``size=[from~to]`` in bytes, of which one may be missing, and ``size=number``."""
    if not value.startswith("["):
        return Q(size=query.integer(value, "size"))
    first, separator, last = value[1:-1].partition("~")
    if not separator:
        raise BadRequest("q reads size=[from~to].", field="q")
    smallest, largest = query.integer(first, "size"), query.integer(last, "size")
    found = Q()
    if smallest is not None:
        found &= Q(size__gte=smallest)
    if largest is not None:
        found &= Q(size__lte=largest)
    return found


def _words(value: str) -> list[str]:
    """Split a list without its brackets; a single value is a list of one."""
    inner = value[1:-1] if value[:1] in {"{", "("} else value
    return [word.strip("\"'") for word in inner.replace(",", " ").split()]
