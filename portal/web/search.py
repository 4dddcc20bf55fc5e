"""Search: projects, repositories, tags, digests, people, pages, as far as the caller may know."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from django.views.decorators.http import require_safe

from accounts.access import can_system, projects_where
from accounts.models import Project, User
from accounts.principals import Principal
from portal.web.access import is_fragment, principal_of, public_page
from portal.web.markdown import summary_of
from portal.web.navigation import groups_for
from portal.web.shell import external_host
from registry_sync.models import Artifact, Repository, Tag
from registry_sync.tag_filters import tags_for_people

# So many of each kind: beside the field, and on the page.
_FEW, _MANY = 5, 50
_MAX_LENGTH = 512
# Tags are looked for in so many repositories that match, those pushed to last.
_MOST_REPOSITORIES = 200
_MAX_WORDS = 6
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{6,64})")
# host/project/repository:tag@digest, where host, tag and digest may be missing.
_REFERENCE = re.compile(
    r"(?P<project>[a-z0-9]+(?:[._-][a-z0-9]+)*)/(?P<path>[a-z0-9]+(?:[/._-]+[a-z0-9]+)*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found."""

    url: str
    title: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class Hits:
    """What was found of one kind."""

    heading: str | Promise
    icon: str
    hits: list[Hit]


@require_safe
@public_page
def index(request: HttpRequest) -> HttpResponse:
    """Show what matches; a pasted reference or digest leads straight there."""
    principal = principal_of(request)
    text = request.GET.get("q", "").replace("\0", "").strip()[:_MAX_LENGTH]
    is_quick = is_fragment(request, "mo-found")
    target = _jump(text, principal)
    if target and not is_quick:
        return redirect(target)
    groups = _found(text, principal, _FEW if is_quick else _MANY)
    if target:
        groups = [Hits(_("Go to"), "arrow-right", [Hit(target, text)]), *groups]
    context = {"section": "search", "query": text, "groups": groups, "most": _MANY}
    fragment = "#found" if is_quick else "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"search/index.html{fragment}", context)


def _jump(text: str, principal: Principal) -> str:
    """Return the address of what a pasted reference or whole digest names, if it is there."""
    bare = re.sub(r"^(?:https?|docker|oci)://", "", text).removeprefix(f"{external_host()}/")
    found = _REFERENCE.fullmatch(bare)
    if found:
        return _referred(found, principal)
    if re.fullmatch(r"(?:sha256:)?[0-9a-f]{64}", text):
        hits = _digests(text, principal, 2)
        return hits[0].url if len(hits) == 1 else ""
    return ""


def _referred(found: "re.Match[str]", principal: Principal) -> str:
    listable = projects_where(principal, "repository:list").filter(name=found["project"])
    repository = Repository.objects.pushed().filter(project__in=listable, path=found["path"])
    one = repository.first()
    if one is None:
        return ""
    names = [found["project"], found["path"]]
    if found["digest"]:
        is_there = Artifact.objects.live().filter(repository=one, body_id=found["digest"]).exists()
        return reverse("repositories:image", args=[*names, found["digest"]]) if is_there else ""
    if found["tag"]:
        tags = Tag.objects.filter(repository=one, name=found["tag"]).exclude(artifact=None)
        return reverse("repositories:tag", args=[*names, found["tag"]]) if tags.exists() else ""
    return reverse("repositories:detail", args=names)


def _found(text: str, principal: Principal, limit: int) -> list[Hits]:
    words = text.split()[:_MAX_WORDS]
    if not words:
        return []
    groups = [
        Hits(_("Projects"), "stack-2", _projects(words, principal, limit)),
        Hits(_("Repositories"), "package-import", _repositories(words, principal, limit)),
        Hits(_("Tags"), "tag", _tags(words, principal, limit)),
        Hits(_("Images"), "stack-3", _digests(text, principal, limit)),
        Hits(_("Users"), "user", _users(words, principal, limit)),
        Hits(_("Pages"), "link", list(_pages(text, principal))[:limit]),
    ]
    return [group for group in groups if group.hits]


def _every(words: Iterable[str], *fields: str) -> Q:
    """Each word stands in one of the fields."""
    condition = Q()
    for word in words:
        one = Q()
        for field in fields:
            one |= Q(**{f"{field}__icontains": word})
        condition &= one
    return condition


def _projects(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    rows = Project.objects.visible_to(principal).filter(_every(words, "name")).order_by("name")
    return [Hit(reverse("projects:detail", args=[row.name]), row.name) for row in rows[:limit]]


def _repositories(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    allowed = projects_where(principal, "repository:list")
    rows = Repository.objects.pushed().filter(project__in=allowed)
    rows = rows.filter(_every(words, "path", "project__name")).select_related("project")
    return [
        Hit(
            reverse("repositories:detail", args=[row.project.name, row.path]),
            f"{row.project.name}/{row.path}",
            summary_of(row.description)[:120],
        )
        for row in rows.order_by("-pushed_at", "-pk")[:limit]
    ]


def _tags(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    """The last word is the tag's, those before it the repository's."""
    *place, name = words
    allowed = projects_where(principal, "tag:list")
    rows = tags_for_people(Tag.objects.filter(name__icontains=name))
    if place:
        # The repositories first: there are far fewer of them than tags.
        repositories = Repository.objects.pushed().filter(project__in=allowed)
        repositories = repositories.filter(_every(place, "path", "project__name"))
        latest = repositories.order_by("-pushed_at", "-pk").values_list("pk", flat=True)
        rows = rows.filter(repository__in=list(latest[:_MOST_REPOSITORIES]))
    else:
        rows = rows.filter(repository__project__in=allowed)
    rows = rows.select_related("repository__project", "artifact")
    return [
        Hit(
            reverse(
                "repositories:tag",
                args=[row.repository.project.name, row.repository.path, row.name],
            ),
            f"{row.repository.project.name}/{row.repository.path}:{row.name}",
            row.artifact.digest[:19] if row.artifact else "",
        )
        for row in rows.order_by("-pushed_at", "-pk")[:limit]
    ]


def _digests(text: str, principal: Principal, limit: int) -> list[Hit]:
    found = _DIGEST.fullmatch(text)
    if found is None:
        return []
    digest = f"sha256:{found[1]}"
    allowed = projects_where(principal, "artifact:list")
    rows = (
        Artifact.objects.live()
        # A range, which an index answers; no hexadecimal digit comes after g.
        .filter(repository__project__in=allowed, body_id__gte=digest, body_id__lt=f"{digest}g")
        .select_related("repository__project")
        .defer("config")
        .order_by("pk")
    )
    return [
        Hit(
            reverse(
                "repositories:image",
                args=[row.repository.project.name, row.repository.path, row.digest],
            ),
            row.digest[:19],
            f"{row.repository.project.name}/{row.repository.path}",
        )
        for row in rows[:limit]
    ]


def _users(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    if not can_system(principal, "user:list"):
        return []
    rows = User.objects.filter(_every(words, "username", "realname", "email"), deleted_at=None)
    return [
        Hit(reverse("administration:user", args=[row.pk]), row.username, row.realname)
        for row in rows.order_by("username")[:limit]
    ]


def _pages(text: str, principal: Principal) -> Iterator[Hit]:
    """Pages whose name, in this language or in English, holds the text."""
    wanted = text.casefold()
    for group in groups_for(principal):
        for place in group.places:
            here = str(place.words)
            with override("en"):
                in_english = str(place.words)
            if wanted in here.casefold() or wanted in in_english.casefold():
                yield Hit(place.url, here, str(group.heading))
    if not principal.is_anonymous and wanted in str(_("New project")).casefold():
        yield Hit(reverse("projects:create"), str(_("New project")))
