"""What was deleted and can still be restored."""

import datetime
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.fields import ByteOrderedCharField


class TrashEntryQuerySet(models.QuerySet["TrashEntry"]):
    """Questions about what was deleted."""

    def restorable(self, now: datetime.datetime) -> Self:
        """Only what can be brought back, as far as time goes."""
        return self.filter(state=TrashEntry.State.TRASHED, purge_at__gt=now)

    def expired(self, now: datetime.datetime) -> Self:
        """Only what waits to be purged."""
        return self.filter(state=TrashEntry.State.TRASHED, purge_at__lte=now)


class TrashEntry(models.Model):
    """One deletion: a tag, an artifact with its tags and accessories, or a whole repository."""

    class Kind(models.TextChoices):
        TAG = "tag", _("Tag")
        ARTIFACT = "artifact", _("Image")
        REPOSITORY = "repository", _("Repository")

    class State(models.TextChoices):
        TRASHED = "trashed", _("In the trash")
        RESTORED = "restored", _("Restored")
        PURGED = "purged", _("Purged")

    repository = models.ForeignKey(
        "registry_sync.Repository", on_delete=models.PROTECT, related_name="trash"
    )
    kind = models.CharField(
        max_length=16, choices=Kind.choices, default=Kind.TAG, db_default=Kind.TAG
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.TRASHED)
    # The artifact that was deleted, or the one the deleted tag pointed to; none of a repository.
    digest = ByteOrderedCharField(max_length=71, blank=True)
    # Each tag that went: {"name", "digest", "pushed_by_id", "pushed_by_name", "pushed_at"}.
    tags = models.JSONField(default=list)
    tag_count = models.PositiveIntegerField(default=0, db_default=0)
    artifact_count = models.PositiveIntegerField(default=0, db_default=0)
    # Bytes that left the project's quota with it.
    freed_bytes = models.BigIntegerField(default=0, db_default=0)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=255)
    # The run that deleted it; no foreign key, for runs are forgotten sooner.
    execution_id = models.BigIntegerField(null=True, blank=True)
    deleted_at = models.DateTimeField()
    # Fixed at deletion: a shorter window set later takes nothing away that was promised.
    purge_at = models.DateTimeField()
    # When it was restored or purged.
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = TrashEntryQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "trash entries"
        indexes = [
            models.Index(fields=["state", "purge_at"], name="trash_due"),
            models.Index(fields=["repository", "state", "-id"], name="trash_of_repository"),
            models.Index(
                fields=["execution_id", "id"],
                name="trash_of_execution",
                condition=models.Q(execution_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.digest} deleted {self.deleted_at:%Y-%m-%d %H:%M}"

    @property
    def tag_names(self) -> list[str]:
        """The tags that went."""
        return [str(tag["name"]) for tag in self.tags]
