"""Retention policies and their runs, by Harbor's contract."""

from datetime import UTC
from typing import Any

from django.http import HttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest, NotFound
from accounts.models import Project
from portal.api import executions, query
from portal.api.base import SignedIn
from portal.api.endpoint import API_ROOT, Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync import dispatch, retention, retention_policies
from registry_sync import executions as jobs
from registry_sync.models import Execution, RetentionOutcome, RetentionPolicy, Task
from registry_sync.retention_policies import Terms
from registry_sync.retention_rules import AGES, COUNTS, Template

_CODES = {"Pending": 0, "Running": 2, "Stopped": 3, "Error": 3, "Success": 3}
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


class RetentionInput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RetentionPolicy``; the last three are ours."""

    id = serializers.IntegerField(required=False)
    algorithm = serializers.ChoiceField(choices=["or"], required=False, default="or")
    rules = serializers.ListField(child=serializers.JSONField(), allow_empty=True, default=list)
    trigger = serializers.JSONField(required=False, allow_null=True)
    scope = serializers.JSONField(required=False, allow_null=True)
    harbor_reading = serializers.BooleanField(required=False)
    keep_latest = serializers.BooleanField(required=False)
    keep_pulled_days = serializers.IntegerField(required=False, min_value=0)


class RetentionOutput(serializers.Serializer[RetentionPolicy]):
    """The contract's ``RetentionPolicy``, and what is ours."""

    id = serializers.IntegerField(source="pk")
    algorithm = serializers.SerializerMethodField()
    rules = serializers.SerializerMethodField()
    trigger = serializers.SerializerMethodField()
    scope = serializers.SerializerMethodField()
    harbor_reading = serializers.BooleanField(source="is_harbor")
    keep_latest = serializers.BooleanField()
    keep_pulled_days = serializers.IntegerField()
    version = serializers.IntegerField()
    confirmed = serializers.BooleanField(source="is_confirmed")

    def get_algorithm(self, policy: RetentionPolicy) -> str:
        """Return the only one: what any rule keeps stays."""
        return "or"

    def get_rules(self, policy: RetentionPolicy) -> list[dict[str, Any]]:
        """Return the rules with their numbers."""
        rules = enumerate(policy.rules, start=1)
        return [{"id": number, "priority": 0, "disabled": False, **rule} for number, rule in rules]

    def get_trigger(self, policy: RetentionPolicy) -> dict[str, Any]:
        """Return when it runs."""
        schedule = retention_policies.schedule_of(policy)
        settings: dict[str, Any] = {"cron": schedule.cron if schedule else ""}
        if schedule is not None and schedule.is_enabled and schedule.next_at is not None:
            moment = schedule.next_at.astimezone(UTC).isoformat()
            settings["next_scheduled_time"] = moment.replace("+00:00", "Z")
        return {"kind": "Schedule", "settings": settings, "references": {}}

    def get_scope(self, policy: RetentionPolicy) -> dict[str, Any]:
        """Return its project."""
        return {"level": "project", "ref": policy.project_id}


class RetentionExecutionInput(serializers.Serializer[dict[str, Any]]):
    """How a run is ordered."""

    dry_run = serializers.BooleanField(default=False)


class RetentionActionInput(serializers.Serializer[dict[str, Any]]):
    """What is to be done with a run."""

    action = serializers.ChoiceField(choices=["stop"])


class RetentionExecutionOutput(serializers.Serializer[Execution]):
    """The contract's ``RetentionExecution``."""

    id = serializers.IntegerField(source="pk")
    policy_id = serializers.IntegerField()
    start_time = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    end_time = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    trigger = serializers.SerializerMethodField()
    dry_run = serializers.SerializerMethodField()

    def get_end_time(self, execution: Execution) -> str:
        """Return when it ended; empty before."""
        return _written(execution.finished_at)

    def get_status(self, execution: Execution) -> str:
        """Return the contract's name of its state."""
        return executions.status_of(execution.state)

    def get_trigger(self, execution: Execution) -> str:
        """Tell whether a schedule began it."""
        return "Schedule" if execution.trigger == Execution.Trigger.SCHEDULE else "Manual"

    def get_dry_run(self, execution: Execution) -> bool:
        """Tell whether it only looked."""
        return bool(execution.parameters.get("dry_run"))


class RetentionTaskOutput(serializers.Serializer[RetentionOutcome]):
    """The contract's ``RetentionExecutionTask``: one repository in one run."""

    id = serializers.IntegerField(source="pk")
    execution_id = serializers.IntegerField()
    repository = serializers.CharField(source="path")
    job_id = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    status_code = serializers.SerializerMethodField()
    status_revision = serializers.SerializerMethodField()
    start_time = serializers.DateTimeField(source="started_at", default_timezone=UTC)
    end_time = serializers.SerializerMethodField()
    total = serializers.IntegerField()
    retained = serializers.IntegerField()

    def get_job_id(self, outcome: RetentionOutcome) -> str:
        """Return the run's number: repositories are not jobs of their own here."""
        return str(outcome.execution_id)

    def get_status(self, outcome: RetentionOutcome) -> str:
        """Return how far it is in this repository."""
        if outcome.is_done:
            return "Success"
        return executions.status_of(outcome.execution.state)

    def get_status_code(self, outcome: RetentionOutcome) -> int:
        """Return the contract's number of it."""
        return _CODES[self.get_status(outcome)]

    def get_status_revision(self, outcome: RetentionOutcome) -> int:
        """Return when it was decided, as a number."""
        return int(outcome.started_at.timestamp())

    def get_end_time(self, outcome: RetentionOutcome) -> str:
        """Return when it was done; empty before."""
        return _written(outcome.finished_at)


class RetentionParameterOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RetentionRuleParamMetadata``."""

    type = serializers.CharField()
    unit = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]


class RetentionTemplateOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RetentionRuleMetadata``."""

    rule_template = serializers.CharField()
    display_text = serializers.CharField()
    action = serializers.CharField()
    params = RetentionParameterOutput(many=True)


class RetentionSelectorOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RetentionSelectorMetadata``."""

    display_text = serializers.CharField()
    kind = serializers.CharField()
    decorations = serializers.ListField(child=serializers.CharField())


class RetentionMetadataOutput(serializers.Serializer[dict[str, Any]]):
    """The contract's ``RetentionMetadata``."""

    templates = RetentionTemplateOutput(many=True)
    scope_selectors = RetentionSelectorOutput(many=True)
    tag_selectors = RetentionSelectorOutput(many=True)


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


def _written(moment: Any) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""


def message_of(execution: Execution) -> str:
    """Return what a run says of itself."""
    task = Task.objects.filter(execution=execution).first()
    return task.message if task else ""
