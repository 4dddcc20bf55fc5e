"""Retention: a project's policy, what its runs came to, and what is kept whatever it says."""

import datetime
from typing import Self

from django.db import models

from accounts.models.fields import ByteOrderedCharField


class RetentionPolicy(models.Model):
    """Which tags of a project stay. Rules have the form of Harbor's API."""

    project = models.OneToOneField(
        "accounts.Project", on_delete=models.CASCADE, related_name="retention"
    )
    rules = models.JSONField(default=list)
    # What no rule keeps goes, in every repository that a rule covers, as in Harbor.
    is_harbor = models.BooleanField(default=False)
    keep_latest = models.BooleanField(default=False)
    keep_pulled_days = models.PositiveIntegerField(default=0)
    # Raised with every change; a confirmation names the one that was looked at.
    version = models.PositiveIntegerField(default=1)
    confirmed_version = models.PositiveIntegerField(default=0)
    # How much of the project a confirmed preview removed, in percent, and whether it emptied
    # repositories: a run that takes more stops before it takes anything.
    confirmed_percent = models.PositiveSmallIntegerField(default=0)
    confirmed_empties = models.BooleanField(default=False)
    # The slot of which owners were warned last.
    warned_slot = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "retention policies"

    def __str__(self) -> str:
        return f"retention of {self.project_id}"

    @property
    def is_confirmed(self) -> bool:
        """Whether somebody confirmed a preview of it as it is now."""
        return self.confirmed_version == self.version


class RetentionOutcome(models.Model):
    """What one run came to in one repository; a run is an execution."""

    execution = models.ForeignKey(
        "registry_sync.Execution", on_delete=models.CASCADE, related_name="retention"
    )
    repository_id = models.BigIntegerField()
    path = ByteOrderedCharField(max_length=255)
    # Images with their tags, as Harbor counts them, and tags.
    total = models.PositiveIntegerField()
    retained = models.PositiveIntegerField()
    removed_tags = models.PositiveIntegerField(default=0)
    freed_bytes = models.BigIntegerField(default=0)
    # How many images each rule kept, by its number; 0 is what no rule decided.
    by_rule = models.JSONField(default=dict)
    # What goes, or went: [tags, digest, rule, reason, what became of it].
    removals = models.JSONField(default=list)
    is_done = models.BooleanField(default=False)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["execution", "repository_id"], name="retention_outcome_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.path} in {self.execution_id}"


class DigestInUseQuerySet(models.QuerySet["DigestInUse"]):
    """Questions about what runs."""

    def current(self, now: datetime.datetime) -> Self:
        """Only reports that have not expired."""
        return self.filter(expires_at__gt=now)


class DigestInUse(models.Model):
    """A cluster or pipeline says that it runs a digest; true until it expires."""

    project = models.ForeignKey("accounts.Project", on_delete=models.CASCADE, related_name="+")
    digest = ByteOrderedCharField(max_length=71)
    place = models.CharField(max_length=255)
    workload = models.CharField(max_length=512, blank=True)
    reported_by = models.CharField(max_length=255)
    reported_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = DigestInUseQuerySet.as_manager()

    class Meta:
        ordering = ["place", "workload"]
        verbose_name_plural = "digests in use"
        constraints = [
            models.UniqueConstraint(
                fields=["project", "digest", "place", "workload"], name="digest_in_use_unique"
            )
        ]
        indexes = [models.Index(fields=["expires_at"], name="digest_in_use_expiry")]

    def __str__(self) -> str:
        return f"{self.digest} in {self.place}"


class TagPin(models.Model):
    """A tag that somebody wants kept, whatever a retention policy says."""

    repository = models.ForeignKey(
        "registry_sync.Repository", on_delete=models.CASCADE, related_name="pins"
    )
    name = ByteOrderedCharField(max_length=128)
    pinned_by = models.CharField(max_length=255)
    pinned_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "name"], name="tag_pin_unique")
        ]

    def __str__(self) -> str:
        return self.name
