"""Retention policies and their runs, by Harbor's contract."""

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from portal.api import query
from portal.api.base import SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from portal.api.retention_output import (
    RetentionActionInput,
    RetentionExecutionInput,
    RetentionExecutionOutput,
    RetentionInput,
    RetentionMetadataOutput,
    RetentionOutput,
    RetentionTaskOutput,
)
from registry_sync import dispatch, retention, retention_policies
from registry_sync import executions as jobs
from registry_sync.models import Execution, RetentionOutcome, RetentionPolicy
from registry_sync.retention_policies import Terms
from registry_sync.retention_rules import AGES, COUNTS, Template

_DISPLAY = {
    Template.PUSHED: "the most recently pushed # artifacts",
    Template.PULLED: "the most recently pulled # artifacts",
    Template.PUSHED_DAYS: "pushed within the last # days",
    Template.PULLED_DAYS: "pulled within the last # days",
    Template.ALWAYS: "always",
    Template.ACTIVE: "the most recently active # artifacts",
    Template.LAST_DAYS: "the artifacts pushed during the last # days",
    Template.NOTHING: "none",
    Template.PATCHES: "the last # patches of each minor version, pre-releases apart",
}


class Metadatas(Endpoint):
    """``/retentions/metadatas``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=RetentionMetadataOutput, name="getRentenitionMetadata")}

    def get(self, request: Request) -> Response:
        """List the templates and selectors of which rules are made."""
        shown = {
            "templates": [_template(template) for template in Template],
            "scope_selectors": [_selector("Repositories", "repoMatches", "repoExcludes")],
            "tag_selectors": [_selector("Tags", "matches", "excludes")],
        }
        return Response(RetentionMetadataOutput(shown).data)


class Retentions(Endpoint):
    """``/retentions``."""

    permissions = {"POST": SignedIn}
    operations = {"POST": Operation(takes=RetentionInput, status=201, name="createRetention")}
    noun = "retention"

    def post(self, request: Request) -> Response:
        """Give a project its policy; its first scheduled run waits for a confirmed preview."""
        serializer = RetentionInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        project = _project(self, serializer.validated_data.get("scope"))
        access.require(self.principal, "tag-retention:create", project)
        terms = terms_of(serializer.validated_data)
        policy = retention_policies.create(project, terms=terms, actor=self.actor)
        return Response(status=201, headers={"Location": f"{API_ROOT}/retentions/{policy.pk}"})


class OneRetention(Endpoint):
    """``/retentions/{id}``."""

    permissions = {"GET": SignedIn, "PUT": SignedIn, "DELETE": SignedIn}
    operations = {
        "GET": Operation(gives=RetentionOutput, name="getRetention"),
        "PUT": Operation(takes=RetentionInput, name="updateRetention"),
        "DELETE": Operation(name="deleteRetention"),
    }
    noun = "retention"

    def get(self, request: Request, policy_id: int) -> Response:
        """Show a policy."""
        return Response(RetentionOutput(find(self, policy_id, "read")).data)

    def put(self, request: Request, policy_id: int) -> Response:
        """Change a policy: the whole of it, ours apart where that is missing."""
        policy = find(self, policy_id, "update")
        serializer = RetentionInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        terms = terms_of(serializer.validated_data, policy)
        retention_policies.update(policy, terms=terms, actor=self.actor)
        return Response()

    def delete(self, request: Request, policy_id: int) -> Response:
        """Remove a policy; what its runs deleted can be restored all the same."""
        retention_policies.delete(find(self, policy_id, "delete"), actor=self.actor)
        return Response()


class Executions(Endpoint):
    """``/retentions/{id}/executions``."""

    permissions = {"GET": SignedIn, "POST": SignedIn}
    operations = {
        "GET": Operation(
            gives=RetentionExecutionOutput, is_list=True, name="listRetentionExecutions"
        ),
        "POST": Operation(
            takes=RetentionExecutionInput, status=201, name="triggerRetentionExecution"
        ),
    }
    noun = "retention"

    def get(self, request: Request, policy_id: int) -> Response:
        """List a policy's runs, the last one first."""
        policy = find(self, policy_id, "read")
        found = Execution.objects.filter(kind=retention.KIND, policy_id=policy.pk)
        page = Page.of(request)
        rows = page.rows(found.order_by("-pk"))
        shown = [RetentionExecutionOutput(execution).data for execution in rows]
        return Response(shown, headers=page.headers(request, found.count()))

    def post(self, request: Request, policy_id: int) -> Response:
        """Run it now; with ``dry_run`` nothing is removed."""
        policy = find(self, policy_id, "operate")
        serializer = RetentionExecutionInput(data=request.data or {})
        serializer.is_valid(raise_exception=True)
        execution = dispatch.start(
            retention.KIND,
            actor=self.actor,
            policy_id=policy.pk,
            project_id=policy.project_id,
            parameters=dict(serializer.validated_data),
        )
        place = f"{API_ROOT}/retentions/{policy.pk}/executions/{execution.pk}"
        return Response(status=201, headers={"Location": place})


class OneExecution(Endpoint):
    """``/retentions/{id}/executions/{eid}``."""

    permissions = {"PATCH": SignedIn}
    operations = {"PATCH": Operation(takes=RetentionActionInput, name="operateRetentionExecution")}
    noun = "retention"

    def patch(self, request: Request, policy_id: int, execution_id: int) -> Response:
        """Stop a run; what it removed so far can be taken back."""
        policy = find(self, policy_id, "operate")
        execution = _execution(policy, execution_id)
        serializer = RetentionActionInput(data=request.data)
        serializer.is_valid(raise_exception=True)
        jobs.stop(execution.pk, actor=self.actor)
        return Response()


class Tasks(Endpoint):
    """``/retentions/{id}/executions/{eid}/tasks``."""

    permissions = {"GET": SignedIn}
    operations = {
        "GET": Operation(gives=RetentionTaskOutput, is_list=True, name="listRetentionTasks")
    }

    def get(self, request: Request, policy_id: int, execution_id: int) -> Response:
        """List what a run came to in each repository."""
        execution = _execution(find(self, policy_id, "read"), execution_id)
        found = RetentionOutcome.objects.filter(execution=execution).defer("removals")
        page = Page.of(request)
        rows = page.rows(found.select_related("execution").order_by("pk"))
        shown = [RetentionTaskOutput(outcome).data for outcome in rows]
        return Response(shown, headers=page.headers(request, found.count()))


class TaskLog(Endpoint):
    """``/retentions/{id}/executions/{eid}/tasks/{tid}``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(media_type="text/plain", name="getRetentionTaskLog")}

    def get(
        self, request: Request, policy_id: int, execution_id: int, task_id: int
    ) -> HttpResponse:
        """Write which images of a repository went and why, as a table."""
        execution = _execution(find(self, policy_id, "read"), execution_id)
        outcomes = RetentionOutcome.objects.filter(execution=execution, pk=query.row_id(task_id))
        outcome = outcomes.first()
        if outcome is None:
            raise NotFound("there is no such task")
        text = retention.log_of(outcome)
        return HttpResponse(text, "text/plain; charset=utf-8")


def terms_of(wanted: dict[str, Any], policy: RetentionPolicy | None = None) -> Terms:
    """Read a policy; what is ours and not said stays as it is."""
    return Terms(
        rules=[_without_numbers(rule) for rule in wanted.get("rules", [])],
        cron=_cron(wanted.get("trigger")),
        is_harbor=wanted.get("harbor_reading", policy.is_harbor if policy else False),
        keep_latest=wanted.get("keep_latest", policy.keep_latest if policy else False),
        keep_pulled_days=wanted.get("keep_pulled_days", policy.keep_pulled_days if policy else 0),
    )


def _without_numbers(rule: Any) -> Any:
    """Leave out what the place in the list says."""
    if not isinstance(rule, dict):
        return rule
    return {key: value for key, value in rule.items() if key not in {"id", "priority"}}


def _cron(trigger: Any) -> str:
    if trigger is None:
        return ""
    settings = trigger.get("settings") if isinstance(trigger, dict) else None
    if trigger and not isinstance(settings or {}, dict):
        raise BadRequest("trigger.settings must be an object with cron.", field="trigger")
    cron = (settings or {}).get("cron", "") or ""
    if not isinstance(cron, str):
        raise BadRequest("trigger.settings.cron must be a text.", field="trigger")
    return cron.strip()


def _project(endpoint: Endpoint, scope: Any) -> Project:
    if not isinstance(scope, dict) or scope.get("level", "project") != "project":
        raise BadRequest("scope must name a project: level project, ref its id.", field="scope")
    ref = scope.get("ref")
    if not isinstance(ref, int) or isinstance(ref, bool) or not 0 < ref < 2**63:
        raise BadRequest("scope.ref must be the id of a project.", field="scope")
    project = Project.objects.visible_to(endpoint.principal).filter(pk=ref).first()
    if project is None:
        raise NotFound("project not found")
    return project


def find(endpoint: Endpoint, policy_id: int, verb: str) -> RetentionPolicy:
    """Return a policy of a project in which the caller may do that.

    Not visible is ``NotFound``, not allowed ``Denied``.
    """
    visible = Project.objects.visible_to(endpoint.principal)
    policies = RetentionPolicy.objects.select_related("project").filter(project__in=visible)
    policy = policies.filter(pk=query.row_id(policy_id)).first()
    if policy is None:
        raise NotFound("there is no such retention policy")
    access.require(endpoint.principal, f"tag-retention:{verb}", policy.project)
    return policy


def _execution(policy: RetentionPolicy, execution_id: int) -> Execution:
    runs = Execution.objects.filter(kind=retention.KIND, policy_id=policy.pk)
    found = runs.filter(pk=query.row_id(execution_id)).first()
    if found is None:
        raise NotFound("there is no such run")
    return found


def _template(template: Template) -> dict[str, Any]:
    unit = "COUNT" if template in COUNTS else "DAYS" if template in AGES else ""
    parameters = [{"type": "int", "unit": unit, "required": True}] if unit else []
    return {
        "rule_template": template.value,
        "display_text": _DISPLAY[template],
        "action": "retain",
        "params": parameters,
    }


def _selector(words: str, *decorations: str) -> dict[str, Any]:
    return {"display_text": words, "kind": "doublestar", "decorations": list(decorations)}
