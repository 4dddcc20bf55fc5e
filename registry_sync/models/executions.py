"""Rows of the job engine: what runs, what is to run when, and what the workers say of it."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _


class State(models.TextChoices):
    """Of an execution and of each of its tasks."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    STOPPING = "stopping", _("Stopping")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    STOPPED = "stopped", _("Stopped")


HELD = (State.RUNNING, State.STOPPING)
ACTIVE = (State.QUEUED, *HELD)


class Schedule(models.Model):
    """When a kind of job runs by itself; ``policy_id`` tells policies of one kind apart (0: none).

    ``next_at`` is the next slot: whoever moves it forward has claimed the slot.
    """

    kind = models.CharField(max_length=32)
    policy_id = models.BigIntegerField(default=0)
    cron = models.CharField(max_length=128)
    time_zone = models.CharField(max_length=64)
    parameters = models.JSONField(default=dict)
    is_enabled = models.BooleanField(default=True)
    next_at = models.DateTimeField(null=True, blank=True)
    last_slot = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "policy_id"], name="schedule_policy_unique")
        ]
        indexes = [models.Index(fields=["is_enabled", "next_at"], name="schedule_due")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.cron} ({self.time_zone})"


class ExecutionQuerySet(models.QuerySet["Execution"]):
    """Questions about executions."""

    def active(self) -> Self:
        """Only those that have not ended."""
        return self.filter(state__in=ACTIVE)

    def locked(self, pk: int) -> "Execution | None":
        """Lock one, before its tasks; None where it is gone."""
        return self.select_for_update(of=("self",), no_key=True).filter(pk=pk).first()


class Execution(models.Model):
    """One run of a job or policy, made of tasks."""

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("By hand")
        SCHEDULE = "schedule", _("By schedule")
        EVENT = "event", _("By an event")

    kind = models.CharField(max_length=32)
    policy_id = models.BigIntegerField(default=0)
    project_id = models.BigIntegerField(null=True, blank=True)
    # Of the active executions with the same key there is one; empty: any number.
    unique_key = models.CharField(max_length=128, blank=True)
    trigger = models.CharField(max_length=16, choices=Trigger.choices)
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=255)
    schedule = models.ForeignKey(
        Schedule, on_delete=models.SET_NULL, null=True, blank=True, related_name="executions"
    )
    slot = models.DateTimeField(null=True, blank=True)
    # Counted as tasks end, so that a list need not count them.
    task_count = models.PositiveIntegerField(default=0)
    succeeded_count = models.PositiveIntegerField(default=0)
    failed_count = models.PositiveIntegerField(default=0)
    stopped_count = models.PositiveIntegerField(default=0)
    # How often a task was taken from a worker that died or hung.
    takeover_count = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["unique_key"],
                condition=~models.Q(unique_key="") & models.Q(state__in=ACTIVE),
                name="execution_active_unique",
            ),
            models.UniqueConstraint(fields=["schedule", "slot"], name="execution_slot_unique"),
        ]
        indexes = [
            models.Index(fields=["kind", "policy_id", "-id"], name="execution_history"),
            models.Index(
                fields=["id"], name="execution_active", condition=models.Q(state__in=ACTIVE)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} ({self.state})"

    @property
    def is_active(self) -> bool:
        """Whether it has not ended."""
        return self.state in ACTIVE

    @property
    def done_count(self) -> int:
        """How many of its tasks have ended."""
        return self.succeeded_count + self.failed_count + self.stopped_count


class TaskQuerySet(models.QuerySet["Task"]):
    """Questions about tasks."""

    def active(self) -> Self:
        """Only those that have not ended."""
        return self.filter(state__in=ACTIVE)


class Task(models.Model):
    """One unit of an execution's work: what a worker claims.

    Whoever claims it raises ``fencing_token``; a write that names an older one changes nothing.
    """

    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="tasks")
    kind = models.CharField(max_length=32)
    # What it is about, for people: a repository, an image.
    subject = models.CharField(max_length=1024, blank=True)
    parameters = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.QUEUED)
    # Not before; moved on by each retry.
    run_after = models.DateTimeField()
    woken_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    takeovers = models.PositiveIntegerField(default=0)
    fencing_token = models.BigIntegerField(default=0)
    worker = models.CharField(max_length=255, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, blank=True)
    unit = models.CharField(max_length=32, blank=True)
    message = models.CharField(max_length=1024, blank=True)
    result = models.JSONField(default=dict)
    log_size = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(fields=["execution", "state", "id"], name="task_of_execution"),
            models.Index(
                fields=["run_after"], name="task_queued", condition=models.Q(state=State.QUEUED)
            ),
            models.Index(
                fields=["lease_until"], name="task_held", condition=models.Q(state__in=HELD)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} ({self.state})"


class TaskLog(models.Model):
    """A piece of what a task wrote; the pieces in their order are its log."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="logs")
    text = models.TextField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"log of {self.task_id}"


class QueuePause(models.Model):
    """A kind whose tasks are not begun, or ``scheduler``: no schedule fires."""

    kind = models.CharField(max_length=32, unique=True)
    paused_at = models.DateTimeField()
    actor_name = models.CharField(max_length=255)

    def __str__(self) -> str:
        return f"{self.kind} paused by {self.actor_name}"


class OutboxDelivery(models.Model):
    """How far the delivery of an event has come that has consumers."""

    event = models.OneToOneField(
        "accounts.OutboxEvent",
        on_delete=models.CASCADE,
        primary_key=True,
        related_name="delivery",
    )
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField()
    fencing_token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    # Given up: what follows it of the same subject goes on.
    is_dead = models.BooleanField(default=False)
    error = models.CharField(max_length=1024, blank=True)

    class Meta:
        verbose_name_plural = "outbox deliveries"

    def __str__(self) -> str:
        return f"delivery of {self.event_id}, attempt {self.attempts}"


class Worker(models.Model):
    """A worker process, by what it says of itself every few seconds."""

    # host:pid
    name = models.CharField(max_length=255, unique=True)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    pool = models.CharField(max_length=32)
    concurrency = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} at {self.beat_at:%Y-%m-%d %H:%M:%S}"


class WorkerHeartbeat(models.Model):
    """When a worker last did what the scheduler asked: proof that broker, beat and worker work."""

    name = models.CharField(max_length=255, unique=True)
    beat_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} at {self.beat_at:%Y-%m-%d %H:%M:%S}"
