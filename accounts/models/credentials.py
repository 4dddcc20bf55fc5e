"""Rows behind the checking of secrets."""

from django.db import models


class ThrottleCounter(models.Model):
    """Failed attempts for one account or one address; a row, so that every process sees it."""

    key = models.CharField(max_length=320, unique=True)
    failures = models.PositiveIntegerField(default=0)
    last_failure_at = models.DateTimeField()
    blocked_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.key}: {self.failures}"
