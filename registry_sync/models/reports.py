"""What runs found and did, line by line, for people to read."""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from registry_sync.models.executions import Execution


class ReportLineQuerySet(models.QuerySet["ReportLine"]):
    """Questions about the lines of reports."""

    def of(self, execution_id: int) -> Self:
        """Only those of one run."""
        return self.filter(execution_id=execution_id)


class ReportLine(models.Model):
    """One thing that a run looked at: what became of it, and why."""

    class Outcome(models.TextChoices):
        DONE = "done", _("Done")
        UNCHANGED = "unchanged", _("Was there")
        LEFT = "left", _("Left out")
        FOUND = "found", _("Found")
        REPAIRED = "repaired", _("Repaired")

    execution = models.ForeignKey(
        Execution, on_delete=models.CASCADE, related_name="report", db_index=False
    )
    outcome = models.CharField(max_length=16, choices=Outcome.choices)
    # What kind of thing: ``repository``, ``image``, ``blob``, ``link`` …
    subject_kind = models.CharField(max_length=32)
    subject = models.CharField(max_length=1024)
    # Why, in words; empty where the outcome says it.
    reason = models.CharField(max_length=1024, blank=True)
    # How many of what the kind of run counts, and their bytes.
    count = models.PositiveIntegerField(default=1)
    size = models.BigIntegerField(default=0)

    objects = ReportLineQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["execution", "outcome", "id"], name="report_of_execution")]

    def __str__(self) -> str:
        return f"{self.outcome}: {self.subject_kind} {self.subject}"
