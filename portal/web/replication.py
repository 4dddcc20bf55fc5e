"""The pages of replication: policies in words, what each will do, its runs."""

from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.access import can_system, require_system
from accounts.errors import Conflict, DomainError, PreconditionFailed
from portal.web.access import actor_of, is_fragment, page, principal_of
from portal.web.jobs import took
from portal.web.paging import page_of
from registry_sync import dispatch
from registry_sync.models import Execution, RemoteRegistry, ReplicationPolicy, State, Task
from registry_sync.replication import policies
from registry_sync.replication.policies import KIND, Terms

_TEXT = {
    "class": "form-control",
    "autocomplete": "off",
    "autocapitalize": "none",
    "spellcheck": "false",
}
_SELECT = {"class": "form-select"}
_SWITCH = {"class": "form-check-input"}
_SECTION = "replication"
_RUNS = 20
_REPLACED = (
    (-1, gettext_lazy("all but the last component")),
    (0, gettext_lazy("none: it is put in front")),
    (1, gettext_lazy("the first component")),
    (2, gettext_lazy("the first two components")),
    (3, gettext_lazy("the first three components")),
)
_RESOURCES = (
    ("", gettext_lazy("everything")),
    ("image", gettext_lazy("images only")),
    ("artifact", gettext_lazy("what is no image: charts, models, others")),
)
_PUSH, _PULL = "push", "pull"
_DIRECTIONS = (
    (_PUSH, gettext_lazy("from here to the other registry")),
    (_PULL, gettext_lazy("from the other registry to here")),
)
# Fields of the contract's filters and errors, by the names of the form's.
_FIELDS = {
    "dest_namespace": "namespace",
    "dest_namespace_replace_count": "replaced_components",
    "speed": "speed_limit",
    "trigger": "cron",
}


class PolicyForm(forms.Form):
    """What is copied where, and when."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=128, widget=forms.TextInput(attrs=_TEXT)
    )
    direction = forms.ChoiceField(
        label=gettext_lazy("Direction"),
        choices=_DIRECTIONS,
        widget=forms.Select(attrs=_SELECT),
    )
    remote = forms.ModelChoiceField(
        label=gettext_lazy("Other registry"),
        queryset=RemoteRegistry.objects.order_by("name"),
        widget=forms.Select(attrs=_SELECT),
    )
    repositories = forms.CharField(
        label=gettext_lazy("Repositories"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("A pattern such as team/** or {team,library}/*; empty: all."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    tags = forms.CharField(
        label=gettext_lazy("Tags"),
        max_length=255,
        required=False,
        help_text=gettext_lazy("A pattern such as v* or {latest,stable}; empty: all."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    is_tag_excluded = forms.BooleanField(
        label=gettext_lazy("All tags but these"),
        required=False,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    resource = forms.ChoiceField(
        label=gettext_lazy("What"),
        choices=_RESOURCES,
        required=False,
        widget=forms.Select(attrs=_SELECT),
    )
    namespace = forms.CharField(
        label=gettext_lazy("Namespace at the destination"),
        max_length=255,
        required=False,
        help_text=gettext_lazy(
            "Empty: repositories keep their names. Here it begins with a project, which is made "
            "where it is missing."
        ),
        widget=forms.TextInput(attrs=_TEXT),
    )
    replaced_components = forms.TypedChoiceField(
        label=gettext_lazy("It takes the place of"),
        coerce=int,
        choices=_REPLACED,
        initial=-1,
        widget=forms.Select(attrs=_SELECT),
    )
    cron = forms.CharField(
        label=gettext_lazy("When"),
        max_length=128,
        required=False,
        help_text=gettext_lazy(
            "Six fields: second, minute, hour, day, month, weekday. 0 0 3 * * * is every night at "
            "three. Empty: by hand only."
        ),
        widget=forms.TextInput(attrs=_TEXT),
    )
    speed_limit = forms.IntegerField(
        label=gettext_lazy("Speed limit in KiB a second"),
        min_value=0,
        initial=0,
        help_text=gettext_lazy("For each image; 0 is as fast as it goes."),
        widget=forms.NumberInput(attrs={"class": "form-control", "inputmode": "numeric"}),
    )
    is_overriding = forms.BooleanField(
        label=gettext_lazy("Move tags that point elsewhere at the destination"),
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    is_chunked = forms.BooleanField(
        label=gettext_lazy("Send large layers in pieces of 10 MiB"),
        required=False,
        help_text=gettext_lazy("A piece that breaks off costs less; not every registry takes it."),
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )
    is_enabled = forms.BooleanField(
        label=gettext_lazy("Enabled"),
        required=False,
        initial=True,
        widget=forms.CheckboxInput(attrs=_SWITCH),
    )

    def terms(self, kept: ReplicationPolicy | None) -> Terms:
        """Return what was chosen; what the form does not show stays as the API set it."""
        given = self.cleaned_data
        stored = kept.filters if kept else []
        found = [dict(entry) for entry in stored if entry["type"] == "label"]
        decoration = "excludes" if given["is_tag_excluded"] else "matches"
        found += [
            {"type": "name", "value": given["repositories"].strip()},
            {"type": "tag", "value": given["tags"].strip(), "decoration": decoration},
            {"type": "resource", "value": given["resource"]},
        ]
        cron = " ".join(given["cron"].split())
        triggers = ReplicationPolicy.Trigger
        return Terms(
            name=given["name"],
            remote=given["remote"],
            is_pull=given["direction"] == _PULL,
            description=kept.description if kept else "",
            filters=tuple(found),
            namespace=given["namespace"].strip(),
            replaced_components=given["replaced_components"],
            trigger=triggers.SCHEDULED if cron else triggers.MANUAL,
            cron=cron,
            is_enabled=given["is_enabled"],
            is_overriding=given["is_overriding"],
            is_chunked=given["is_chunked"],
            speed_limit=given["speed_limit"],
        )


def _initial(policy: ReplicationPolicy) -> dict[str, Any]:
    names = (
        "name",
        "remote",
        "namespace",
        "replaced_components",
        "cron",
        "speed_limit",
        "is_overriding",
        "is_chunked",
        "is_enabled",
    )
    stored = {entry["type"]: entry for entry in policy.filters}
    return {name: getattr(policy, name) for name in names} | {
        "direction": _PULL if policy.is_pull else _PUSH,
        "repositories": stored.get("name", {}).get("value", ""),
        "tags": stored.get("tag", {}).get("value", ""),
        "is_tag_excluded": stored.get("tag", {}).get("decoration") == "excludes",
        "resource": stored.get("resource", {}).get("value", ""),
    }


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
    context = {
        "section": _SECTION,
        "page": listed,
        "rows": [(row, runs.get(row.last_run)) for row in listed],
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
    form = PolicyForm(request.POST or None, initial=_initial(policy))
    if request.method == "POST" and form.is_valid() and _saved(request, form, policy):
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
        dispatch.start(KIND, policy_id=policy.pk, actor=actor_of(request))
    except Conflict as error:
        messages.error(request, str(error))
    return redirect("administration:replication_policy", policy.pk)


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
        field = _FIELDS.get(error.field, error.field)
        form.add_error(field if field in form.fields else None, str(error))
        return None


def _form_page(
    request: HttpRequest, form: PolicyForm, policy: ReplicationPolicy | None
) -> HttpResponse:
    context = {"section": _SECTION, "form": form, "policy": policy}
    status = 422 if request.method == "POST" else 200
    return render(request, "replication/edit.html", context, status=status)
