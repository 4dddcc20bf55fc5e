"""Rows of the job engine."""

from django.db import models


class WorkerHeartbeat(models.Model):
    """When a worker last did what the scheduler asked: proof that broker, beat and worker work."""

    name = models.CharField(max_length=255, unique=True)
    beat_at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} at {self.beat_at:%Y-%m-%d %H:%M:%S}"
