"""Rules that hold tags: what such a tag points to is neither changed nor deleted."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Match(models.TextChoices):
    """Whether a pattern names what is meant, or what is not."""

    MATCHES = "matches", _("that match")
    EXCLUDES = "excludes", _("that do not match")


class ImmutableRule(models.Model):
    """Which tags of which of a project's repositories are immutable."""

    project = models.ForeignKey(
        "accounts.Project",
        on_delete=models.CASCADE,
        related_name="immutable_rules",
        # The unique constraint begins with it.
        db_index=False,
    )
    # Doublestar patterns; a repository is matched by its name below the project.
    repository_match = models.CharField(max_length=8, choices=Match.choices, default=Match.MATCHES)
    repository_pattern = models.CharField(max_length=255, default="**")
    tag_match = models.CharField(max_length=8, choices=Match.choices, default=Match.MATCHES)
    tag_pattern = models.CharField(max_length=255)
    is_disabled = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=[
                    "project",
                    "repository_match",
                    "repository_pattern",
                    "tag_match",
                    "tag_pattern",
                ],
                name="immutable_rule_unique",
            )
        ]

    def __str__(self) -> str:
        return (
            f"{self.repository_match} {self.repository_pattern}: "
            f"{self.tag_match} {self.tag_pattern}"
        )
