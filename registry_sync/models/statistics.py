"""How often and by whom was pulled what, counted apart from what the pulls read.

A pull writes none of the rows that pushes lock. No constraint in the database binds these to
their repository: a count that comes late must never be in the way of its removal.
"""

from django.db import models

from accounts.models.fields import ByteOrderedCharField


class PullTotal(models.Model):
    """All pulls of one tag, one digest or (an empty reference) the whole repository."""

    repository = models.ForeignKey(
        "registry_sync.Repository",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    reference = ByteOrderedCharField(max_length=128, blank=True)
    count = models.BigIntegerField(default=0)
    # By scanners and replication; they are in no other figure here.
    automatic = models.BigIntegerField(default=0)
    pulled_at = models.DateTimeField(null=True, blank=True)
    pulled_by_kind = models.CharField(max_length=16, blank=True)
    pulled_by_name = models.CharField(max_length=255, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "reference"], name="pull_total_unique")
        ]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.reference}: {self.count}"


class PullDay(models.Model):
    """The pulls of one day (UTC) of one tag or (an empty reference) the whole repository."""

    repository = models.ForeignKey(
        "registry_sync.Repository",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    reference = ByteOrderedCharField(max_length=128, blank=True)
    day = models.DateField()
    count = models.BigIntegerField(default=0)
    automatic = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "reference", "day"], name="pull_day_unique"
            )
        ]
        indexes = [models.Index(fields=["day"], name="pull_day_age")]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.reference} {self.day}: {self.count}"


class PushDay(models.Model):
    """The pushes of tags by clients into a repository on one day (UTC)."""

    repository = models.ForeignKey(
        "registry_sync.Repository",
        on_delete=models.CASCADE,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    day = models.DateField()
    # Of these, how many by robots.
    count = models.BigIntegerField(default=0)
    by_robots = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "day"], name="push_day_unique")
        ]
        indexes = [models.Index(fields=["day"], name="push_day_age")]

    def __str__(self) -> str:
        return f"{self.repository_id} {self.day}: {self.count}"
