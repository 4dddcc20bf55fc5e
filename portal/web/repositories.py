"""Pages about repositories: tags first, then images, and what it says of itself."""

from dataclasses import dataclass
from itertools import pairwise

from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.models import Project
from portal.web.access import is_fragment, principal_of, public_page, visible_project
from portal.web.commands import TOOLS, pull_by_digest, tool_of
from portal.web.image_lists import image_rows, images_of
from portal.web.keyset import slice_of
from portal.web.repository_tabs import frame, rights_in
from portal.web.tag_lists import ORDERS, PUSHERS, Filter, platforms_of
from portal.web.tag_rows import TagRow, one_per_artifact, tag_rows, with_artifacts
from registry_sync import immutability, layer_policy, statistics
from registry_sync.accessories import Accessory, accessories_among, signed_among
from registry_sync.models import Artifact, Repository
from registry_sync.statistics import Pulls

_SHOWN = {
    "": Q(),
    "tagged": Q(has_tag=True),
    "untagged": Q(has_tag=False),
}


def repository_of(project: Project, path: str) -> Repository:
    """Return a repository of a project the caller may know of, or answer 404."""
    found = Repository.objects.pushed().filter(project=project, path=path).first()
    if found is None:
        raise Http404
    found.project = project
    return found


@require_safe
@public_page
def detail(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """A repository's tags."""
    repository = repository_of(visible_project(request, project), path)
    wanted, tool = Filter.of(request.GET.dict()), tool_of(request)
    tags = with_artifacts(wanted.tags(repository, principal_of(request)))
    listed = slice_of(request, tags, ORDERS[wanted.order])
    for tag in listed.rows:
        tag.repository = repository
    every = tag_rows(listed.rows, tool)
    rows = one_per_artifact(every, expanded=request.GET.get("expand", ""))
    own = rights_in(request, repository)
    context = frame(request, repository, "tags") | {
        "wanted": wanted,
        "query": wanted.query,
        "pushers": PUSHERS.items(),
        "platforms": platforms_of(repository),
        "slice": listed,
        "rows": rows,
        "marks": _marks(repository, rows),
        "older": _older(rows) if wanted.order == "version" and "repository:pull" in own else {},
        "tools": TOOLS,
        "tool": tool,
        "may_delete": "tag:delete" in own,
        "may_tag": "tag:create" in own,
        "may_copy": not principal_of(request).is_anonymous and "repository:pull" in own,
    }
    if rows:
        newest = rows[0]
        context["use"] = newest
        context["by_digest"] = pull_by_digest(
            tool, name=repository.name, digest=newest.artifact.digest, kind=newest.artifact.kind
        )
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"repositories/detail.html{fragment}", context)


def _older(rows: list[TagRow]) -> dict[str, str]:
    """Return for each tag the version below it, with which one would compare it."""
    return {
        newer.tag.name: older.tag.name
        for newer, older in pairwise(rows)
        if newer.artifact.kind != Artifact.Kind.OTHER != older.artifact.kind
    }


@dataclass(frozen=True, slots=True)
class _Marks:
    """What is known of a row's image besides: rule, signature, accessories, pulls."""

    rule: immutability.Rule | None
    is_signed: bool
    has_bill: bool
    others: int
    pulls: Pulls
    # What the project has against its layers.
    against: list[str]


def _marks(repository: Repository, rows: list[TagRow]) -> dict[str, _Marks]:
    """Look up the marks of all rows, by the tag's name."""
    names = [row.tag.name for row in rows]
    digests = [row.artifact.digest for row in rows]
    held = immutability.held_among(repository, names)
    about = accessories_among([repository.pk], digests)
    pulls = _pulls(repository, names)
    against = layer_policy.broken(repository.project, digests)
    found = {}
    for row in rows:
        own: list[Accessory] = list(about.get((repository.pk, row.artifact.digest), ()))
        found[row.tag.name] = _Marks(
            rule=held.get(row.tag.name),
            is_signed=any(accessory.is_signature for accessory in own),
            has_bill=any(accessory.is_bill for accessory in own),
            others=sum(not (each.is_signature or each.is_bill) for each in own),
            pulls=pulls.get(row.tag.name, Pulls()),
            against=against.get(row.artifact.digest, []),
        )
    return found


def _pulls(repository: Repository, references: list[str]) -> dict[str, Pulls]:
    found = statistics.of_references([repository.pk], references)
    return {reference: pulls for (_pk, reference), pulls in found.items()}


@require_safe
@public_page
def images(request: HttpRequest, project: str, path: str) -> HttpResponse:
    """A repository's images by digest, those without a tag included."""
    repository = repository_of(visible_project(request, project), path)
    shown = request.GET.get("show", "")
    shown = shown if shown in _SHOWN else ""
    listed = slice_of(request, images_of(repository).filter(_SHOWN[shown]), ("-pushed_at", "-pk"))
    digests = [artifact.digest for artifact in listed.rows]
    own = rights_in(request, repository)
    context = frame(request, repository, "images") | {
        "shown": shown,
        "slice": listed,
        "rows": image_rows(listed.rows),
        "signed": signed_among(repository, digests),
        "pulls": _pulls(repository, digests),
        "may_delete": "artifact:delete" in own,
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"repositories/images.html{fragment}", context)
