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


class RegistryCheck(models.Model):
    """One time another registry was asked; the last of them are kept."""

    remote = models.ForeignKey(RemoteRegistry, on_delete=models.CASCADE, related_name="checks")
    at = models.DateTimeField()
    # Empty where it answered.
    problem = models.CharField(max_length=1024, blank=True)
    # How long it took, in milliseconds.
    took = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["remote", "-id"], name="registry_check_of_remote")]

    def __str__(self) -> str:
        return f"{self.remote_id} at {self.at:%Y-%m-%d %H:%M:%S}"


class ReplicationPolicy(models.Model):
    """What is copied to which other registry, or from it, and when."""

    class Trigger(models.TextChoices):
        MANUAL = "manual", _("By hand")
        SCHEDULED = "scheduled", _("By schedule")
        EVENT = "event_based", _("At each push")

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
    # Whether what is deleted here is deleted there, where this policy put it.
    is_deleting = models.BooleanField(default=False, db_default=False)
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


class ReplicationChange(models.Model):
    """Something a policy has to look at, for it was pushed, deleted or restored.

    What happened is not kept: what is so when it is looked at counts. The repository may be gone
    by then, hence no foreign key.
    """

    policy = models.ForeignKey(ReplicationPolicy, on_delete=models.CASCADE, related_name="changes")
    repository_id = models.BigIntegerField()
    # A tag, or without one a digest: what is about an image was pushed.
    tag = models.CharField(max_length=128, blank=True)
    digest = models.CharField(max_length=71, blank=True)
    # Which installations it came through, so that it does not go in circles.
    via = models.CharField(max_length=255, blank=True)
    # Raised by each event: a plan forgets only what it has seen.
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "repository_id", "tag", "digest"],
                name="replication_change_unique",
            )
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}:{self.tag or self.digest} for policy {self.policy_id}"


class Replica(models.Model):
    """A tag that a policy put into another registry: no other may be deleted there."""

    policy = models.ForeignKey(ReplicationPolicy, on_delete=models.CASCADE, related_name="replicas")
    # Here; no foreign key, for it may be purged before its deletion is copied.
    repository_id = models.BigIntegerField()
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=71)
    # The repository there.
    destination = models.CharField(max_length=512)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "destination", "tag"], name="replica_unique")
        ]
        indexes = [models.Index(fields=["policy", "repository_id", "digest"], name="replica_of")]

    def __str__(self) -> str:
        return f"{self.destination}:{self.tag}"
