"""What administrators set for the whole system, and lists of tolerated vulnerabilities."""

from typing import TYPE_CHECKING

from django.db import models
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from accounts.models.projects import Project


class Configuration(models.Model):
    """One setting that differs from its default; ``accounts.configuration`` knows the keys."""

    key = models.CharField(max_length=64, unique=True)
    value = models.JSONField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["key"]

    def __str__(self) -> str:
        return self.key


class CVEAllowlist(models.Model):
    """Vulnerabilities that are tolerated: in the whole system, or in one project."""

    project: "models.OneToOneField[Project | None, Project | None]" = models.OneToOneField(
        "accounts.Project",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="cve_allowlist",
    )
    cve_ids = models.JSONField(_("CVE numbers"), default=list)
    expires_at = models.DateTimeField(_("Expires"), null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        verbose_name = "CVE allowlist"
        constraints = [
            models.UniqueConstraint(
                models.Value(1),
                condition=models.Q(project=None),
                name="cve_allowlist_one_of_the_system",
            )
        ]

    def __str__(self) -> str:
        return f"allowlist of {self.project_id or 'the system'}"
