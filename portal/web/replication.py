"""The pages of replication: policies in words, what each will do, its runs."""

from django.contrib import messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can_system, require_system
from accounts.errors import Conflict, DomainError, PreconditionFailed
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.jobs import took
from portal.web.paging import page_of
from portal.web.replication_forms import FIELDS, PolicyForm, initial_of
from registry_sync import dispatch
from registry_sync.models import Execution, RemoteRegistry, ReplicationPolicy, State, Task
from registry_sync.replication import lag, policies, preview
from registry_sync.replication.policies import KIND

_SECTION = "replication"
_RUNS = 20
# Images and notes of a preview.
_SHOWN = 50


@require_safe
@page
def index(request: HttpRequest) -> HttpResponse:
    """List the policies, each with its last run."""
    principal = principal_of(request)
    require_system(principal, "replication-policy:list")
    last = Execution.objects.filter(kind=KIND, policy_id=OuterRef("pk")).order_by("-pk")
    rows = _policies().annotate(last_run=Subquery(last.values("pk")[:1])).order_by("name")
    listed = page_of(request, rows)
    runs = Execution.objects.in_bulk([row.last_run for row in listed if row.last_run])
    lags = lag.of(listed)
    context = {
        "section": _SECTION,
        "page": listed,
        "rows": [(row, runs.get(row.last_run), lags[row.pk]) for row in listed],
        "has_registries": RemoteRegistry.objects.exists(),
        "may_create": bool(can_system(principal, "replication-policy:create")),
        "may_add": bool(can_system(principal, "registry:create")),
    }
    return render(request, "replication/list.html", context)


@require_safe
@page
def detail(request: HttpRequest, policy_id: int) -> HttpResponse:
    """A policy in words, and its runs."""
    principal = principal_of(request)
    require_system(principal, "replication-policy:read")
    policy = _found(policy_id)
    runs = list(Execution.objects.filter(kind=KIND, policy_id=policy.pk).order_by("-pk")[:_RUNS])
    failed = Task.objects.filter(execution__in=runs, state=State.FAILED).order_by("-pk")
    problems = dict(failed.values_list("execution_id", "message"))
    plans = Task.objects.filter(execution__in=runs, subject="").values_list(
        "execution_id", "result"
    )
    found = dict(plans)
    context = {
        "section": _SECTION,
        "policy": policy,
        "filters": {entry["type"]: entry for entry in policy.filters},
        "rows": [(r, took(r), found.get(r.pk, {}), problems.get(r.pk, "")) for r in runs],
        "is_live": any(run.is_active for run in runs),
        "may_run": policy.is_enabled and bool(can_system(principal, "replication:create")),
        "may_update": bool(can_system(principal, "replication-policy:update")),
        "may_delete": bool(can_system(principal, "replication-policy:delete")),
    }
    fragment = "#runs" if is_fragment(request, "runs") else ""
    return render(request, f"replication/detail.html{fragment}", context)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def create(request: HttpRequest) -> HttpResponse:
    """Make a policy."""
    require_system(principal_of(request), "replication-policy:create")
    form = PolicyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if "preview" in request.POST:
            return _preview_page(request, form, None)
        policy = _saved(request, form, None)
        if policy is not None:
            return redirect("administration:replication_policy", policy.pk)
    return _form_page(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
@page
def edit(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Change a policy; a run that goes on goes on as it began."""
    require_system(principal_of(request), "replication-policy:update")
    policy = _found(policy_id)
    form = PolicyForm(request.POST or None, initial=initial_of(policy))
    if request.method == "POST" and form.is_valid():
        if "preview" in request.POST:
            return _preview_page(request, form, policy)
        if _saved(request, form, policy):
            return redirect("administration:replication_policy", policy.pk)
    return _form_page(request, form, policy)


@require_POST
@page
def start(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Run a policy now; where it runs already, show that run."""
    require_system(principal_of(request), "replication:create")
    policy = _found(policy_id)
    if not policy.is_enabled:
        messages.error(request, _("The policy is disabled."))
        return redirect("administration:replication_policy", policy.pk)
    try:
        run = dispatch.start(KIND, policy_id=policy.pk, actor=actor_of(request))
    except Conflict as error:
        messages.error(request, str(error))
        running = Execution.objects.active().filter(kind=KIND, policy_id=policy.pk).first()
        if running is None:
            return redirect("administration:replication_policy", policy.pk)
        run = running
    return redirect("administration:replication_run", policy.pk, run.pk)


@require_POST
@page
def delete(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Delete a policy; what it copied stays."""
    require_system(principal_of(request), "replication-policy:delete")
    policy = _found(policy_id)
    try:
        policies.remove(policy, actor=actor_of(request))
    except PreconditionFailed as error:
        messages.error(request, str(error))
        return redirect("administration:replication_policy", policy_id)
    messages.success(request, _("%(name)s is deleted.") % {"name": policy.name})
    return redirect("administration:replication")


def _policies() -> QuerySet[ReplicationPolicy]:
    return ReplicationPolicy.objects.select_related("remote")


def _found(policy_id: int) -> ReplicationPolicy:
    policy = _policies().filter(pk=policy_id).first() if policy_id < 2**63 else None
    if policy is None:
        raise Http404
    return policy


def _saved(
    request: HttpRequest, form: PolicyForm, policy: ReplicationPolicy | None
) -> ReplicationPolicy | None:
    terms, actor = form.terms(policy), actor_of(request)
    try:
        if policy is None:
            return policies.create(terms, actor=actor)
        return policies.update(policy, terms, actor=actor)
    except DomainError as error:
        _tell(form, error)
        return None


def _preview_page(
    request: HttpRequest, form: PolicyForm, policy: ReplicationPolicy | None
) -> HttpResponse:
    """Show the form with what it would do; nothing is kept."""
    try:
        found = preview.make(policies.draft(form.terms(policy), policy))
    except DomainError as error:
        _tell(form, error)
        return _form_page(request, form, policy)
    plan = found.plan
    return _form_page(
        request,
        form,
        policy,
        preview=found,
        copies=plan.copies[:_SHOWN],
        more=max(0, len(plan.copies) - _SHOWN),
        notes=[*plan.kept[:_SHOWN], *plan.unnamed[:_SHOWN]],
    )


def _tell(form: PolicyForm, error: DomainError) -> None:
    field = FIELDS.get(error.field, error.field)
    form.add_error(field if field in form.fields else None, str(error))


def _form_page(
    request: HttpRequest, form: PolicyForm, policy: ReplicationPolicy | None, **more: object
) -> HttpResponse:
    context = {"section": _SECTION, "form": form, "policy": policy, **more}
    status = 422 if request.method == "POST" and not more else 200
    return render(request, "replication/edit.html", context, status=status)
