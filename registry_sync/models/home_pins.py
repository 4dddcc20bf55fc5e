"""What people keep at hand on their home page."""

from django.db import models

from accounts.models.fields import ByteOrderedCharField


class HomePin(models.Model):
    """A project or, where a path is named, a repository that somebody pinned to their home page.

    By path, not by row: what is pushed anew under its name is what was meant.
    """

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    path = ByteOrderedCharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "project", "path"], name="home_pin_unique")
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.project_id}/{self.path}"
