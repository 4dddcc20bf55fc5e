"""The page of a project's retention: rules as sentences, beside what they would do now."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can, require
from accounts.errors import BadRequest, Conflict, DomainError, NotFound
from accounts.models import Project
from portal.web.access import actor_of, is_fragment, page, principal_of, visible_project
from portal.web.jobs import took
from portal.web.project_tabs import frame
from portal.web.retention_forms import GuardForm, RuleForms, initial_of, is_plain, terms_of
from registry_sync import dispatch, pins, retention, retention_policies, retention_preview
from registry_sync.models import Execution, Repository, RetentionPolicy
from registry_sync.retention_export import csv_lines
from registry_sync.retention_policies import Terms, reading_of
from registry_sync.retention_preview import Filter, Preview
from registry_sync.retention_words import sentences

_ROWS = 50
_RUNS = 5
_VIEWS = (
    ("", pgettext_lazy("tags", "All")),
    ("remove", pgettext_lazy("tags", "Removed")),
    ("keep", pgettext_lazy("tags", "Kept")),
)


def _found(request: HttpRequest, name: str, verb: str) -> tuple[Project, RetentionPolicy | None]:
    project = visible_project(request, name)
    require(principal_of(request), f"tag-retention:{verb}", project)
    policy = RetentionPolicy.objects.select_related("project").filter(project=project).first()
    return project, policy


@require_http_methods(["GET", "HEAD", "POST"])
@page
def index(request: HttpRequest, project: str) -> HttpResponse:
    """Show what the rules do as they are written; save them, and confirm what they remove."""
    found, policy = _found(request, project, "read")
    rules, guards = initial_of(policy)
    data = request.POST if request.method == "POST" else None
    # Every rule that was sent is read, be it as it was before or not.
    terms_of_forms = {"empty_permitted": False, "use_required_attribute": False}
    forms = RuleForms(data, initial=rules, prefix="rule", form_kwargs=terms_of_forms)
    guard_form = GuardForm(data, initial=guards)
    preview, refusal = None, ""
    try:
        terms = _terms(forms, guard_form, policy, is_posted=data is not None)
        if terms is not None:
            preview = _preview(request, found, terms)
        action = request.POST.get("action", "")
        if terms is not None and action in {"save", "confirm"}:
            return _save(request, found, policy, terms, is_confirmed=action == "confirm")
    except (BadRequest, Conflict) as error:
        refusal = str(error)
    context = frame(request, found, "retention") | {
        "policy": policy,
        "forms": forms,
        "guards": guard_form,
        "is_plain": policy is None or all(map(is_plain, policy.rules)),
        "sentences": sentences(reading_of(policy)) if policy else [],
        "preview": preview,
        "refusal": refusal,
        "runs": _runs(policy),
        "may_update": bool(can(principal_of(request), "tag-retention:update", found)),
        "may_pin": bool(can(principal_of(request), "tag:create", found)),
        "schedule": retention_policies.schedule_of(policy) if policy else None,
        **_filters(request),
    }
    fragment = "#preview" if is_fragment(request, "preview") else ""
    is_wrong = bool(refusal) or preview is None
    status = 422 if is_wrong and request.method == "POST" and not fragment else 200
    return render(request, f"retention/index.html{fragment}", context, status=status)


def _terms(
    forms: Any, guards: GuardForm, policy: RetentionPolicy | None, *, is_posted: bool
) -> Terms | None:
    """Return what is to be judged: what was written, else what is saved; None where it is wrong."""
    if not is_posted:
        if policy is None:
            return Terms([], keep_latest=True)
        return Terms(
            policy.rules,
            retention_policies.cron_of(policy),
            policy.is_harbor,
            policy.keep_latest,
            policy.keep_pulled_days,
        )
    if forms.is_valid() and guards.is_valid():
        return terms_of(forms, guards)
    return None


def _filters(request: HttpRequest) -> dict[str, Any]:
    asked = request.POST if request.method == "POST" else request.GET
    number = asked.get("page", "1")
    view = asked.get("verdict", "")
    return {
        "query": asked.get("q", "").strip()[:256],
        "verdict": view if view in {"keep", "remove"} else "",
        "number": max(1, int(number)) if number.isascii() and number.isdigit() else 1,
        "views": _VIEWS,
        "rows_on_a_page": _ROWS,
    }


def _preview(request: HttpRequest, project: Project, terms: Terms) -> Preview:
    chosen = _filters(request)
    start = (min(chosen["number"], 10**6) - 1) * _ROWS
    wanted = Filter(chosen["query"], chosen["verdict"], "", start, _ROWS)
    return retention_preview.preview(project, reading_of(terms), wanted)


def _save(
    request: HttpRequest,
    project: Project,
    policy: RetentionPolicy | None,
    terms: Terms,
    *,
    is_confirmed: bool,
) -> HttpResponse:
    principal, actor = principal_of(request), actor_of(request)
    require(principal, f"tag-retention:{'update' if policy else 'create'}", project)
    if policy is None:
        saved = retention_policies.create(project, terms=terms, actor=actor)
    else:
        saved = retention_policies.update(policy, terms=terms, actor=actor)
    if is_confirmed:
        require(principal, "tag-retention:operate", project)
        retention_preview.confirm(saved, version=saved.version, actor=actor)
        messages.success(request, _("The policy is saved, and what it removes is confirmed."))
    else:
        text = _("The policy is saved. Its first scheduled run waits for a confirmed preview.")
        messages.success(request, text)
    return redirect("projects:retention", project.name)


def _runs(policy: RetentionPolicy | None) -> list[tuple[Execution, object, dict[str, Any]]]:
    if policy is None:
        return []
    runs = Execution.objects.filter(kind=retention.KIND, policy_id=policy.pk).order_by("-pk")
    shown: list[tuple[Execution, object, dict[str, Any]]] = []
    for run in runs.prefetch_related("tasks")[:_RUNS]:
        results = [task.result for task in run.tasks.all()]
        shown.append((run, took(run), results[0] if results else {}))
    return shown


@require_POST
@page
def start(request: HttpRequest, project: str) -> HttpResponse:
    """Run the policy now, or only look."""
    found, policy = _found(request, project, "operate")
    if policy is None:
        raise NotFound("the project has no retention policy")
    try:
        execution = dispatch.start(
            retention.KIND,
            actor=actor_of(request),
            policy_id=policy.pk,
            project_id=found.pk,
            parameters={"dry_run": request.POST.get("dry_run") == "1"},
        )
    except Conflict as error:
        messages.error(request, str(error))
        return redirect("projects:retention", found.name)
    return redirect("projects:run", found.name, execution.pk)


@require_POST
@page
def delete(request: HttpRequest, project: str) -> HttpResponse:
    """Remove the policy: everything stays from now on."""
    found, policy = _found(request, project, "delete")
    if policy is not None:
        retention_policies.delete(policy, actor=actor_of(request))
        messages.success(request, _("The policy is deleted; nothing is removed by itself."))
    return redirect("projects:retention", found.name)


@require_POST
@page
def pin(request: HttpRequest, project: str) -> HttpResponse:
    """Keep a tag whatever the rules say, or let them decide again."""
    found = visible_project(request, project)
    require(principal_of(request), "tag:create", found)
    path, _colon, name = request.POST.get("pin", "").rpartition(":")
    repositories = Repository.objects.pushed().filter(project=found, path=path.replace("\0", ""))
    repository = repositories.select_related("project").first()
    if repository is None:
        raise NotFound("repository not found")
    try:
        if request.POST.get("to") == "off":
            pins.unpin(repository, name, actor=actor_of(request))
            messages.success(request, _("The rules decide on %(tag)s again.") % {"tag": name})
        else:
            pins.pin(repository, name, actor=actor_of(request))
            text = _("%(tag)s is pinned: no retention run removes it.") % {"tag": name}
            messages.success(request, text)
    except DomainError as error:
        messages.error(request, str(error))
    return redirect("projects:retention", found.name)


@require_safe
@page
def export(request: HttpRequest, project: str) -> HttpResponse:
    """Every verdict of the saved policy as a table for spreadsheets."""
    found, policy = _found(request, project, "read")
    if policy is None:
        raise NotFound("the project has no retention policy")
    rows = retention_preview.rows(found, reading_of(policy))
    answer = StreamingHttpResponse(csv_lines(rows), content_type="text/csv; charset=utf-8")
    name = f'attachment; filename="{found.name}-retention.csv"'
    answer.headers["Content-Disposition"] = name
    return answer  # type: ignore[return-value]
