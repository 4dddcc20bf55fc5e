"""Pages about projects."""

from collections.abc import Iterable

from django.db.models import Count, F, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from accounts import projects
from accounts.access import rights, role_in
from accounts.errors import BadRequest, Conflict
from accounts.models import Project, ProjectMember
from accounts.principals import Principal
from portal.web import proxy_cache
from portal.web.access import (
    actor_of,
    is_fragment,
    page,
    principal_of,
    public_page,
    visible_project,
)
from portal.web.commands import TOOLS, first_pull, first_push, tool_of
from portal.web.forms import ProjectForm
from portal.web.paging import page_of, query_of
from portal.web.project_tabs import frame
from portal.web.tag_rows import with_artifacts
from registry_sync.models import Repository, RepositoryBlob, Tag
from registry_sync.proxy_cache import projects as proxies
from registry_sync.tag_filters import tags_for_people


def _with_facts(rows: QuerySet[Project], principal: Principal) -> QuerySet[Project]:
    """Add what the list shows: the caller's role, repositories, last push, bytes."""
    pushed = Repository.objects.pushed().filter(project=OuterRef("pk")).order_by()
    counts = pushed.values("project").annotate(n=Count("pk")).values("n")
    memberships = ProjectMember.objects.filter(
        project=OuterRef("pk"), user_id=principal.user_id or 0
    ).order_by()
    return rows.annotate(
        repository_count=Coalesce(Subquery(counts), 0),
        last_push=Subquery(pushed.order_by("-pushed_at").values("pushed_at")[:1]),
        my_role=Subquery(memberships.values("role")[:1]),
        used_bytes=Coalesce(F("usage__used_bytes"), 0),
    )


@require_safe
@public_page
def index(request: HttpRequest) -> HttpResponse:
    """Every project the caller may know of."""
    principal = principal_of(request)
    rows = Project.objects.visible_to(principal)
    query = query_of(request)
    if query:
        rows = rows.filter(name__icontains=query)
    context = {
        "section": "projects",
        "query": query,
        "page": page_of(request, _with_facts(rows, principal).order_by("name")),
    }
    fragment = "#rows" if is_fragment(request, "rows") else ""
    return render(request, f"projects/list.html{fragment}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def create(request: HttpRequest) -> HttpResponse:
    """Make a project: of one's own, or, where one may, filled from another registry."""
    offers_proxy = proxy_cache.may_create(principal_of(request))
    form: ProjectForm = _creation_form(request, offers_proxy=offers_proxy)
    if request.method == "POST" and form.is_valid():
        try:
            project = _created(request, form)
        except (BadRequest, Conflict) as error:
            form.tell(error)
        else:
            return redirect("projects:detail", project.name)
    context = {"section": "projects", "form": form}
    status = 422 if request.method == "POST" else 200
    return render(request, "projects/create.html", context, status=status)


def _creation_form(request: HttpRequest, *, offers_proxy: bool) -> ProjectForm:
    if not offers_proxy:
        return ProjectForm(request.POST or None)
    kind = request.GET.get("kind")
    initial = {
        "kind": kind if kind == proxy_cache.PROXY else proxy_cache.HOSTED,
        "asks_referrers": True,
    }
    return proxy_cache.NewProjectForm(request.POST or None, initial=initial)


def _created(request: HttpRequest, form: ProjectForm) -> Project:
    actor = actor_of(request)
    if isinstance(form, proxy_cache.NewProjectForm) and form.is_proxy:
        return form.create(actor)
    return projects.create(
        name=form.cleaned_data["name"], is_public=form.cleaned_data["is_public"], actor=actor
    )


@require_safe
@public_page
def detail(request: HttpRequest, project: str) -> HttpResponse:
    """A project's repositories, or how to push the first one."""
    found = visible_project(request, project)
    principal = principal_of(request)
    all_rows = Repository.objects.pushed().filter(project=found)
    query = query_of(request)
    rows = all_rows.filter(path__icontains=query) if query else all_rows
    listed = page_of(request, rows.order_by("-pushed_at", "-id"))
    is_empty = listed.paginator.count == 0 and not query
    received = _received_layers(found) if is_empty else 0
    if is_empty and is_fragment(request, "waiting"):
        # Nothing changes on the page while nothing has arrived.
        if not received:
            return HttpResponse(status=204)
        waiting = {"received": received, "project": found}
        return render(request, "projects/detail.html#waiting_line", waiting)
    # None of what the page asks is everybody's in a public project: one query answers it all.
    own = rights(principal, [found])[found.pk]
    context = frame(request, found, own=own) | {
        "role": role_in(principal, found),
        "may_push": "repository:push" in own and not found.is_proxy,
        "query": query,
        "page": listed,
        "latest_tags": latest_tags(listed),
        "tag_counts": _tag_counts(listed),
        "is_empty": is_empty,
        "received": received,
        "used_bytes": found.usage.used_bytes if hasattr(found, "usage") else 0,
    }
    tool = tool_of(request)
    username = "" if principal.is_anonymous else principal.name
    if found.is_proxy:
        context |= {
            "tools": TOOLS,
            "tool": tool,
            "pull": first_pull(tool, project=found, cache=proxies.of(found), username=username),
        }
    elif username:
        context |= {
            "tools": TOOLS,
            "tool": tool,
            "commands": first_push(tool, username=username, project=found.name),
        }
    if is_fragment(request, "rows"):
        return render(request, "projects/detail.html#rows", context)
    if is_fragment(request, "waiting"):
        # The first push is in: the list takes the whole place, not only that of the waiting line.
        response = render(request, "projects/detail.html#repositories", context)
        response.headers["HX-Retarget"] = "#repositories"
        response.headers["HX-Reswap"] = "outerHTML"
        return response
    return render(request, "projects/detail.html", context)


def _received_layers(project: Project) -> int:
    """How much of a first push has arrived so far."""
    return RepositoryBlob.objects.filter(
        repository__project=project, kind=RepositoryBlob.Kind.LAYER
    ).count()


def _tag_counts(repositories: Iterable[Repository]) -> dict[int, int]:
    """Count the tags of each repository that is shown."""
    shown = [repository.pk for repository in repositories]
    counted = Tag.objects.filter(repository__in=shown).order_by().values("repository_id")
    return dict(counted.annotate(n=Count("pk")).values_list("repository_id", "n"))


def latest_tags(repositories: Iterable[Repository]) -> dict[int, Tag]:
    """Return each repository's tag that was pushed last, with its artifact."""
    newest = with_artifacts(tags_for_people(Tag.objects.filter(repository=OuterRef("pk"))))
    pairs = (
        Repository.objects.filter(pk__in=[repository.pk for repository in repositories])
        .annotate(latest=Subquery(newest.order_by("-pushed_at", "-id").values("pk")[:1]))
        .values_list("pk", "latest")
    )
    by_repository = dict(pairs.order_by())
    tags = with_artifacts(Tag.objects.all()).in_bulk([pk for pk in by_repository.values() if pk])
    return {pk: tags[tag] for pk, tag in by_repository.items() if tag in tags}
