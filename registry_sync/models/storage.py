"""What the registry's storage held at a time."""

from django.db import models


class StorageSnapshot(models.Model):
    """One measurement: every byte in the storage belongs to exactly one part."""

    at = models.DateTimeField(unique=True)
    # Needed by an image that lives.
    in_use_bytes = models.BigIntegerField()
    # Needed by nothing but what can be restored.
    trash_bytes = models.BigIntegerField()
    # Needed by nothing, and old enough to be collected; or within its grace.
    reclaimable_bytes = models.BigIntegerField()
    later_bytes = models.BigIntegerField()
    # Sent and not finished.
    upload_bytes = models.BigIntegerField()
    # What no table knows: ``reconcile`` says what it is.
    unknown_bytes = models.BigIntegerField()
    # Of the file system, where the storage is a directory.
    disk_total = models.BigIntegerField(null=True, blank=True)
    disk_free = models.BigIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["-at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M}: {self.total_bytes} bytes"

    @property
    def total_bytes(self) -> int:
        """Everything."""
        return (
            self.in_use_bytes
            + self.trash_bytes
            + self.reclaimable_bytes
            + self.later_bytes
            + self.upload_bytes
            + self.unknown_bytes
        )


class ProjectStorage(models.Model):
    """What a project's images needed when the storage was measured last."""

    project = models.OneToOneField(
        "accounts.Project", on_delete=models.CASCADE, primary_key=True, related_name="storage"
    )
    # Bytes that no other project needs, and bytes that others need too.
    exclusive_bytes = models.BigIntegerField()
    shared_bytes = models.BigIntegerField()
    trash_bytes = models.BigIntegerField()

    class Meta:
        verbose_name_plural = "project storage"

    def __str__(self) -> str:
        return f"{self.project_id}: {self.exclusive_bytes} + {self.shared_bytes} bytes"
