"""A project at a glance: what it uses and where, what was pushed and pulled, what needs a look."""

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.access import require, rights
from accounts.models import Project
from portal.web import proxy_cache
from portal.web.access import principal_of, public_page, visible_project
from portal.web.attention import matters
from portal.web.charts import Part, Tile, pull_columns, push_columns, treemap
from portal.web.commands import tool_of
from portal.web.project_tabs import frame
from portal.web.tag_rows import one_per_artifact, tag_rows, with_artifacts
from registry_sync import push_days, statistics
from registry_sync.models import Blob, Repository, RepositoryBlob, Tag
from registry_sync.tag_filters import tags_for_people

_RECENT = 6
# Tags read to find the recent pushes: several tags of one push are one line.
_RECENT_TAGS = 30
_COUNTED_TAGS = 10_000


@require_safe
@public_page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """Show the overview."""
    found = visible_project(request, project)
    principal = principal_of(request)
    require(principal, "repository:list", found)
    repositories = Repository.objects.pushed().filter(project=found)
    tags = tags_for_people(Tag.objects.filter(repository__project=found))
    rows = tag_rows(_recent(repositories), tool_of(request))
    own = rights(principal, [found])[found.pk]
    context = frame(request, found, "overview", own=own) | {
        "repository_count": repositories.count(),
        # An exact number of hundreds of thousands would cost more than the rest of the page.
        "tag_count": tags.order_by()[: _COUNTED_TAGS + 1].values("pk").count(),
        "most_tags": _COUNTED_TAGS,
        "used_bytes": found.usage.used_bytes if hasattr(found, "usage") else 0,
        "pushes": one_per_artifact(rows)[:_RECENT],
        "push_days": push_columns(push_days.of_project(found.pk)),
        "pulls": pull_columns(statistics.days_of_project(found.pk)),
        "matters": matters(principal, found),
        "may_change": "project:update" in own,
        "tiles": _storage(repositories, found),
        **proxy_cache.overview(found, own),
    }
    return render(request, "projects/overview.html", context)


def _recent(repositories: QuerySet[Repository]) -> QuerySet[Tag]:
    """Return the tags that were pushed last, found by way of the repositories pushed to last."""
    latest = list(
        repositories.order_by("-pushed_at", "-pk").values_list("pk", "pushed_at")[:_RECENT]
    )
    # Fewer repositories than lines: then older pushes of theirs have room.
    is_full = len(latest) == _RECENT
    since = min((at for _pk, at in latest if at), default=None) if is_full else None
    there = Tag.objects.filter(repository__in=[pk for pk, _at in latest])
    rows = with_artifacts(tags_for_people(there))
    if since is not None:
        rows = rows.filter(pushed_at__gte=since)
    rows = rows.select_related("artifact", "repository__project")
    return rows.order_by("-pushed_at", "-id")[:_RECENT_TAGS]


def _storage(repositories: QuerySet[Repository], project: Project) -> list[Tile]:
    """Draw what each repository holds; what two share counts in both."""
    size = Subquery(Blob.objects.filter(digest=OuterRef("digest")).values("size")[:1])
    held = RepositoryBlob.objects.filter(
        repository__in=repositories, state=RepositoryBlob.State.PRESENT
    )
    sums = held.annotate(size=size).order_by().values_list("repository__path")
    parts = [
        Part(path, total or 0, reverse("repositories:detail", args=[project.name, path]))
        for path, total in sums.annotate(total=Sum("size"))
    ]
    return treemap(parts, _("others"))
