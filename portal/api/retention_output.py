"""Retention policies, their runs and what these came to, as Harbor's contract writes them."""

from datetime import UTC
from typing import Any

from rest_framework import serializers

from portal.api import executions
from registry_sync import retention_policies
from registry_sync.models import Execution, RetentionOutcome, RetentionPolicy

_CODES = {"Pending": 0, "Running": 2, "Stopped": 3, "Error": 3, "Success": 3}


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


def _written(moment: Any) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment else ""
