"""Other registries, and what is copied to them and from them."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class RemoteRegistry(models.Model):
    """Another registry: where it is and what proves to it who we are."""

    class Status(models.TextChoices):
        UNKNOWN = "unknown", _("Not asked yet")
        HEALTHY = "healthy", _("Answers")
        UNHEALTHY = "unhealthy", _("Does not answer")

    name = models.CharField(max_length=128, unique=True)
    description = models.CharField(max_length=1024, blank=True)
    # One of ``registry_sync.adapters``.
    kind = models.CharField(max_length=32)
    url = models.CharField(max_length=512)
    username = models.CharField(max_length=4096, blank=True)
    # Encrypted (``accounts.sealed_secrets``).
    sealed_password = models.TextField(blank=True)
    # Whether its certificate is not looked at.
    is_insecure = models.BooleanField(default=False)
    # PEM; where it is given, nothing else vouches for the registry.
    ca_certificate = models.TextField(blank=True)
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.UNKNOWN)
    # Why it does not answer.
    problem = models.CharField(max_length=1024, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "remote registries"

    def __str__(self) -> str:
        return self.name


class ReplicationPolicy(models.Model):
    """What is copied to which other registry, or from it, and when."""

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("By hand")
        SCHEDULED = "scheduled", _("By schedule")

    name = models.CharField(max_length=128, unique=True)
    description = models.CharField(max_length=1024, blank=True)
    remote = models.ForeignKey(RemoteRegistry, on_delete=models.PROTECT, related_name="policies")
    # Whether it copies from there to here.
    is_pull = models.BooleanField(default=False, db_default=False)
    # Each {"type": "name" | "tag" | "label" | "resource", "value", "decoration"}.
    filters = models.JSONField(default=list)
    # Put in place of the first components of a repository's name; empty: the name stays.
    namespace = models.CharField(max_length=255, blank=True)
    # How many components it takes the place of; -1: all but the last.
    replaced_components = models.SmallIntegerField(default=-1)
    trigger = models.CharField(max_length=16, choices=Trigger.choices, default=Trigger.MANUAL)
    cron = models.CharField(max_length=128, blank=True)
    is_enabled = models.BooleanField(default=True)
    # Whether a tag that points elsewhere at the destination is moved.
    is_overriding = models.BooleanField(default=True)
    # Large blobs in pieces, so that one that breaks off goes on where it was.
    is_chunked = models.BooleanField(default=False)
    # KiB a second for each image; 0: as fast as it goes.
    speed_limit = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "replication policies"

    def __str__(self) -> str:
        return self.name
