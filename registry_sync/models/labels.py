"""Labels: words with a colour that people put on artifacts."""

from typing import TYPE_CHECKING

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.fields import ByteOrderedCharField

if TYPE_CHECKING:
    from accounts.models import Project
    from registry_sync.models.catalog import Artifact


class Label(models.Model):
    """A label of the whole system (no project), or of one project."""

    project: "models.ForeignKey[Project | None, Project | None]" = models.ForeignKey(
        "accounts.Project",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="labels",
    )
    name = ByteOrderedCharField(_("Name"), max_length=128)
    description = models.CharField(_("Description"), max_length=1024, blank=True)
    color = models.CharField(
        _("Colour"),
        max_length=7,
        blank=True,
        validators=[
            RegexValidator(
                r"^#[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?\Z", _("Write a colour as #0091DA.")
            )
        ],
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(project=None),
                name="label_name_unique_in_system",
            ),
            models.UniqueConstraint(
                fields=["project", "name"], name="label_name_unique_in_project"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ArtifactLabel(models.Model):
    """A label on an artifact."""

    artifact: "models.ForeignKey[Artifact, Artifact]" = models.ForeignKey(
        "registry_sync.Artifact", on_delete=models.CASCADE, related_name="labelings"
    )
    label = models.ForeignKey(Label, on_delete=models.CASCADE, related_name="labelings")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["artifact", "label"], name="artifact_label_unique")
        ]

    def __str__(self) -> str:
        return f"{self.artifact_id}: {self.label_id}"
