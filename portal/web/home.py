"""The home page: how to push a first image, then what was pushed lately."""

from django.conf import settings
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import Project, ProjectMember
from accounts.principals import Principal
from accounts.roles import ROLE_ACTIONS, Role
from portal.web import setup_checks
from portal.web.access import SignInNeeded, is_fragment, principal_of, public_page
from portal.web.attention import matters
from portal.web.charts import MOST_TILES, Part, Tile, pull_columns, push_columns, treemap
from portal.web.commands import TOOLS, first_push, tool_of
from portal.web.home_pins import pinned_of
from portal.web.tag_rows import one_per_artifact, tag_rows, with_artifacts
from registry_sync import push_days, statistics
from registry_sync.accessories import subject_of_tag
from registry_sync.models import ProjectUsage, Repository, RepositoryBlob, Tag
from registry_sync.quota import WARNING_PERCENT
from registry_sync.tag_filters import tags_for_people

_RECENT = 8
_PUSHING_ROLES = [role.value for role in Role if "repository:push" in ROLE_ACTIONS[role]]
# Tags read to find the recent pushes: several tags of one push are one line.
_RECENT_TAGS = 40
# Of the whole system's newest, among which those are looked for first.
_NEWEST_TAGS = 400
_COUNTED_TAGS = 10_000


@require_safe
@public_page
def index(request: HttpRequest) -> HttpResponse:
    """What was pushed lately; in a new installation, how to push."""
    principal = principal_of(request)
    if principal.is_anonymous:
        raise SignInNeeded
    projects = Project.objects.visible_to(principal)
    tags = tags_for_people(Tag.objects.filter(repository__project__in=projects))
    rows = tag_rows(_newest(projects, tags), tool_of(request))
    if not rows:
        return _first_run(request, principal, projects)
    # An exact number of millions would cost more than the rest of the page.
    tag_count = tags.order_by()[: _COUNTED_TAGS + 1].values("pk").count()
    usages = ProjectUsage.objects.filter(project__in=projects)
    used_bytes = usages.aggregate(total=Sum("used_bytes", default=0))["total"]
    context = {
        "section": "home",
        "project_count": projects.count(),
        "repository_count": Repository.objects.pushed().filter(project__in=projects).count(),
        "tag_count": tag_count,
        "most_tags": _COUNTED_TAGS,
        "used_bytes": used_bytes,
        "pushes": one_per_artifact(rows)[:_RECENT],
        "push_days": push_columns(push_days.of_projects(projects)),
        "pinned": pinned_of(principal),
        "pulls": pull_columns(statistics.days_of_projects(projects)),
        "matters": matters(principal),
        "tiles": _storage(projects, used_bytes),
    }
    if is_fragment(request, "waiting"):
        # The first push is in: the daily home takes the page, not only the waiting line.
        response = render(request, "home/index.html#content", context)
        response.headers["HX-Retarget"] = "#content"
        response.headers["HX-Reswap"] = "outerHTML"
        return response
    return render(request, "home/index.html", context)


def _storage(projects: QuerySet[Project], total: int) -> list[Tile]:
    """Draw what each project uses; beyond the largest ones it is summed up."""
    rows = projects.filter(usage__used_bytes__gt=0).order_by("-usage__used_bytes")
    largest = list(rows.select_related("usage")[:MOST_TILES])
    rest = total - sum(row.usage.used_bytes for row in largest)
    parts = [_part(row) for row in largest]
    return treemap([*parts, Part(_("others"), rest)] if rest > 0 else parts, _("others"))


def _part(project: Project) -> Part:
    used, limit = project.usage.used_bytes, project.storage_limit
    is_full = limit > 0 and used * 100 >= limit * WARNING_PERCENT
    note = _("%(percent)d%% of its limit") % {"percent": 100 * used // limit} if is_full else ""
    return Part(project.name, used, reverse("projects:detail", args=[project.name]), note, is_full)


def _newest(projects: QuerySet[Project], tags: QuerySet[Tag]) -> list[Tag]:
    """Return the tags that were pushed last.

    Along the index of all tags first: asked for those of many projects at once, a database sorts
    millions. Who may see few of the newest is asked about the few that they may see.
    """
    # By nothing else, which would be no index's order; a tie is broken among what is read.
    newest = Tag.objects.order_by("-pushed_at")[:_NEWEST_TAGS].values_list(
        "pushed_at", "pk", "repository_id", "artifact_id", "name"
    )
    keys = [
        (pk, repository_id)
        for _at, pk, repository_id, artifact_id, name in sorted(newest, reverse=True)
        if artifact_id and not subject_of_tag(name)
    ]
    there = Repository.objects.filter(pk__in={repository_id for _pk, repository_id in keys})
    seen = set(there.filter(project__in=projects).values_list("pk", flat=True))
    found = [pk for pk, repository_id in keys if repository_id in seen][:_RECENT_TAGS]
    chosen = Tag.objects.filter(pk__in=found) if len(found) == _RECENT_TAGS else tags
    rows = with_artifacts(chosen).select_related("artifact", "repository__project")
    rows = rows.order_by("-pushed_at", "-id")
    # Without a limit where the keys are known: with one, PostgreSQL seeks them along all tags.
    return list(rows if chosen is not tags else rows[:_RECENT_TAGS])


def _first_run(
    request: HttpRequest, principal: Principal, projects: QuerySet[Project]
) -> HttpResponse:
    """How to push the first image, and what is set up already."""
    received = RepositoryBlob.objects.filter(
        repository__project__in=projects, kind=RepositoryBlob.Kind.LAYER
    ).count()
    if is_fragment(request, "waiting"):
        if not received:
            return HttpResponse(status=204)
        return render(request, "home/first_run.html#waiting_line", {"received": received})
    project = _where_to_push(principal, projects)
    tool = tool_of(request)
    disk = setup_checks.disk() if principal.is_administrator else None
    # What the set-up list shows: the address answers, a project is there, a push is not.
    done = [True, project is not None, False]
    done += [True] * (principal.is_administrator + (disk is not None))
    context: dict[str, object] = {
        "section": "home",
        "project": project,
        "received": received,
        "tools": TOOLS,
        "tool": tool,
        "is_https": settings.MOORAGE_IS_HTTPS,
        "disk": disk,
        "done": sum(done),
        "steps": len(done),
    }
    if project is not None:
        context["commands"] = first_push(tool, username=principal.name, project=project.name)
    return render(request, "home/first_run.html", context)


def _where_to_push(principal: Principal, projects: QuerySet[Project]) -> Project | None:
    """Return the first project into which this person may push."""
    # Into those that another registry fills nobody pushes.
    projects = projects.filter(is_proxy=False)
    if principal.is_administrator:
        return projects.order_by("pk").first()
    memberships = ProjectMember.objects.filter(
        user_id=principal.user_id or 0, role__in=_PUSHING_ROLES, project__in=projects
    )
    member = memberships.select_related("project").order_by("project__name").first()
    return member.project if member else None
