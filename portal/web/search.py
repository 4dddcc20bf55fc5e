"""Search: projects, repositories, tags, digests, people, pages, as far as the caller may know."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override
from django.views.decorators.http import require_safe

from accounts.access import projects_where
from accounts.principals import Principal
from portal.web.access import is_fragment, principal_of, public_page
from portal.web.markdown import summary_of
from portal.web.navigation import ACTIONS, Place, groups_for
from portal.web.shell import external_host
from registry_sync import search
from registry_sync.models import Artifact, Repository, Tag

# So many of each kind: beside the field, and on the page.
_FEW, _MANY = 5, 50
_MAX_LENGTH = 512
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
    words = search.words_of(text)
    if not words:
        return []
    groups = [
        Hits(_("Projects"), "stack-2", _projects(words, principal, limit)),
        Hits(_("Repositories"), "package-import", _repositories(words, principal, limit)),
        Hits(_("Tags"), "tag", _tags(words, principal, limit)),
        Hits(_("Images"), "stack-3", _digests(text, principal, limit)),
        Hits(_("Users"), "user", _users(words, principal, limit)),
        Hits(_("Pages"), "link", list(_pages(text, principal))[:limit]),
        Hits(_("Actions"), "arrow-right", list(_actions(text, principal))[:limit]),
    ]
    return [group for group in groups if group.hits]


def _projects(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    rows = search.projects(principal, words)[:limit]
    return [Hit(reverse("projects:detail", args=[row.name]), row.name) for row in rows]


def _repositories(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    rows = search.repositories(principal, words).select_related("project")
    return [
        Hit(
            reverse("repositories:detail", args=[row.project.name, row.path]),
            f"{row.project.name}/{row.path}",
            summary_of(row.description)[:120],
        )
        for row in rows.order_by("-pushed_at", "-pk")[:limit]
    ]


def _tags(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    return [
        Hit(
            reverse(
                "repositories:tag",
                args=[row.repository.project.name, row.repository.path, row.name],
            ),
            f"{row.repository.project.name}/{row.repository.path}:{row.name}",
            row.artifact.digest[:19] if row.artifact else "",
        )
        for row in search.tags(principal, words)[:limit]
    ]


def _digests(text: str, principal: Principal, limit: int) -> list[Hit]:
    return [
        Hit(
            reverse(
                "repositories:image",
                args=[row.repository.project.name, row.repository.path, row.digest],
            ),
            row.digest[:19],
            f"{row.repository.project.name}/{row.repository.path}",
        )
        for row in search.artifacts(principal, text)[:limit]
    ]


def _users(words: list[str], principal: Principal, limit: int) -> list[Hit]:
    return [
        Hit(reverse("administration:user", args=[row.pk]), row.username, row.realname)
        for row in search.users(principal, words)[:limit]
    ]


def _pages(text: str, principal: Principal) -> Iterator[Hit]:
    """Pages whose name, in this language or in English, holds the text."""
    for group in groups_for(principal):
        for place in group.places:
            if _is_called(place, text):
                yield Hit(place.url, str(place.words), str(group.heading))


def _actions(text: str, principal: Principal) -> Iterator[Hit]:
    """What one may begin, by its name in this language or in English."""
    for place in ACTIONS:
        if place.is_open_to(principal) and _is_called(place, text):
            yield Hit(place.url, str(place.words))


def _is_called(place: Place, text: str) -> bool:
    wanted, here = text.casefold(), str(place.words)
    with override("en"):
        in_english = str(place.words)
    return wanted in here.casefold() or wanted in in_english.casefold()
