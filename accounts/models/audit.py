"""What happened (audit) and what must be told (outbox); rows are only ever added."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuditEntry(models.Model):
    """One state change or sign-in: who, what, where from, with which outcome.

    No foreign keys: an entry outlives everything it speaks of.
    """

    class Outcome(models.TextChoices):
        SUCCESS = "success", _("Success")
        DENIED = "denied", _("Denied")

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=255)
    address = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=64)
    resource = models.CharField(max_length=1024)
    project_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, default=Outcome.SUCCESS)
    detail = models.JSONField(default=dict)
    # Its place in the chain and its seal, both given by ``accounts.audit_chain`` after the commit.
    sequence = models.BigIntegerField(null=True, blank=True, unique=True, editable=False)
    seal = models.CharField(max_length=64, blank=True, editable=False, db_default="")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["id"], name="audit_unsealed", condition=models.Q(sequence=None)),
            models.Index(fields=["project_id", "-id"], name="audit_of_project"),
            # What people look for among millions: who, and what happened to this.
            models.Index(fields=["actor_name", "-id"], name="audit_of_actor"),
            models.Index(fields=["resource", "-id"], name="audit_of_resource"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name} {self.action} {self.resource}"


class AuditChain(models.Model):
    """The end of the sealed chain: the one row that a sealer locks, and the signed checkpoint."""

    ONLY = 1

    sequence = models.BigIntegerField(default=0)
    seal = models.CharField(max_length=64, blank=True)
    # Over sequence and seal, so that a shortened chain is not taken for a whole one.
    signature = models.CharField(max_length=64, blank=True)
    sealed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"sealed up to {self.sequence}"


class OutboxEvent(models.Model):
    """An event written in the transaction it speaks of, to be delivered at least once after it."""

    created_at = models.DateTimeField(auto_now_add=True)
    kind = models.CharField(max_length=64)
    # Events of one subject (a repository, a project) are delivered in order.
    subject = models.CharField(max_length=1024)
    payload = models.JSONField(default=dict)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        indexes = [
            models.Index(
                fields=["id"], name="outbox_undelivered", condition=models.Q(delivered_at=None)
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
