"""What was deleted and can still be restored."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.fields import ByteOrderedCharField


class TrashEntry(models.Model):
    """One deletion: a tag, or an artifact with its tags and accessories."""

    class State(models.TextChoices):
        TRASHED = "trashed", _("In the trash")
        RESTORED = "restored", _("Restored")
        PURGED = "purged", _("Purged")

    repository = models.ForeignKey(
        "registry_sync.Repository", on_delete=models.PROTECT, related_name="trash"
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.TRASHED)
    # The artifact that was deleted, or the one the deleted tag pointed to.
    digest = ByteOrderedCharField(max_length=71)
    # Each tag that went: {"name", "digest", "pushed_by_id", "pushed_by_name", "pushed_at"}.
    tags = models.JSONField(default=list)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=255)
    deleted_at = models.DateTimeField()
    # Fixed at deletion: a shorter window set later takes nothing away that was promised.
    purge_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "trash entries"
        indexes = [models.Index(fields=["state", "purge_at"], name="trash_due")]

    def __str__(self) -> str:
        return f"{self.digest} deleted {self.deleted_at:%Y-%m-%d %H:%M}"
