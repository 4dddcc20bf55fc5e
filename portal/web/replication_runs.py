"""The page of one run of replication: its phases, each image with what went wrong, its log."""

from django.contrib import messages
from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.access import can_system, require_system
from accounts.errors import Conflict
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.jobs import TASK_VIEWS, asked_task, log_of, task_views, took, view_of
from portal.web.paging import page_of, query_of
from registry_sync import dispatch, executions
from registry_sync.models import Execution, ReplicationPolicy, State, Task
from registry_sync.replication import run_figures
from registry_sync.replication.policies import KIND

# What needs somebody's eye first, then what moves.
_ORDER = (State.FAILED, State.STOPPING, State.RUNNING, State.QUEUED)


@require_safe
@page
def detail(request: HttpRequest, policy_id: int, run_id: int) -> HttpResponse:
    """One run."""
    principal = principal_of(request)
    require_system(principal, "replication:read")
    policy, run = _found(policy_id, run_id)
    figures = run_figures.of(run)
    view = view_of(request, TASK_VIEWS)
    rows = _rows(run, view, query_of(request))
    listed = page_of(request, rows)
    failed = run_figures.images(run).filter(state=State.FAILED).order_by("pk").first()
    chosen = asked_task(request, run)
    may_act = bool(can_system(principal, "replication:create"))
    context = {
        "section": "replication",
        "policy": policy,
        "run": run,
        "took": took(run),
        "repeated": _repeated(run),
        "figures": figures,
        "first_failed": failed,
        "page": listed,
        "rows": [(task, took(task)) for task in listed],
        "views": task_views(figures.counts, figures.images),
        "view": view,
        "chosen": chosen,
        "log": log_of(chosen) if chosen else "",
        "may_stop": may_act and run.is_active and run.state != State.STOPPING,
        "may_retry": may_act and not run.is_active and bool(figures.failed) and policy.is_enabled,
        "may_update": bool(can_system(principal, "replication-policy:update")),
    }
    fragment = "#content" if is_fragment(request, "content") else ""
    return render(request, f"replication/run.html{fragment}", context)


@require_POST
@page
def stop(request: HttpRequest, policy_id: int, run_id: int) -> HttpResponse:
    """Stop a run; what was copied stays."""
    require_system(principal_of(request), "replication:create")
    policy, run = _found(policy_id, run_id)
    executions.stop(run.pk, actor=actor_of(request))
    return redirect("administration:replication_run", policy.pk, run.pk)


@require_POST
@page
def retry(request: HttpRequest, policy_id: int, run_id: int) -> HttpResponse:
    """Do again what failed of a run, as a run of its own."""
    require_system(principal_of(request), "replication:create")
    policy, run = _found(policy_id, run_id)
    orders = run_figures.failed_orders(run)
    if not orders or not policy.is_enabled:
        messages.error(request, _("Nothing of this run can be tried again."))
        return redirect("administration:replication_run", policy.pk, run.pk)
    try:
        run = dispatch.start(
            KIND,
            policy_id=policy.pk,
            parameters={"retry_of": run.pk},
            orders=orders,
            actor=actor_of(request),
        )
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("administration:replication_run", policy.pk, run.pk)


def _found(policy_id: int, run_id: int) -> tuple[ReplicationPolicy, Execution]:
    if max(policy_id, run_id) >= 2**63:
        raise Http404
    policy = ReplicationPolicy.objects.select_related("remote").filter(pk=policy_id).first()
    run = Execution.objects.filter(kind=KIND, policy_id=policy_id, pk=run_id).first()
    if policy is None or run is None:
        raise Http404
    return policy, run


def _repeated(run: Execution) -> Execution | None:
    """Return the run of which this one tries again what failed."""
    number = run.parameters.get("retry_of")
    same = Execution.objects.filter(kind=KIND, policy_id=run.policy_id, pk=number)
    return same.first() if number else None


def _rows(run: Execution, view: str, words: str) -> QuerySet[Task]:
    rows = run_figures.images(run)
    if TASK_VIEWS[view]:
        rows = rows.filter(state__in=TASK_VIEWS[view])
    if words:
        rows = rows.filter(subject__icontains=words)
    cases = [When(state=state, then=Value(place)) for place, state in enumerate(_ORDER)]
    rank = Case(*cases, default=Value(len(_ORDER)), output_field=IntegerField())
    return rows.order_by(rank, "pk")
