"""What people and machines prove themselves with, and the rows behind the checking."""

import datetime
from typing import TYPE_CHECKING

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.fields import ByteOrderedCharField

if TYPE_CHECKING:
    from accounts.models.projects import Project
    from accounts.models.users import User

ROBOT_NAME_PATTERN = r"^[a-z0-9]+(?:[._-][a-z0-9]+)*\Z"


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


class UserSession(models.Model):
    """A browser's sign-in, so that its owner can see it and end it."""

    user: "models.ForeignKey[User, User]" = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="browser_sessions"
    )
    session_key = models.CharField(max_length=40, unique=True)
    address = models.CharField(max_length=64, blank=True)
    client = models.CharField(max_length=255, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_seen_at", "-id"]

    def __str__(self) -> str:
        return f"{self.user_id} from {self.address}"


class PasswordReset(models.Model):
    """A one-time link with which a user sets a new password; the secret's SHA-256 is kept."""

    user: "models.ForeignKey[User, User]" = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="+"
    )
    secret_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"reset for {self.user_id}"


class PersonalToken(models.Model):
    """A secret that stands for its owner, within its scopes and until it expires."""

    user: "models.ForeignKey[User, User]" = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="personal_tokens"
    )
    name = models.CharField(_("Name"), max_length=100)
    # SHA-256 of the secret: it is long and random, so nothing slower is needed.
    secret_hash = models.CharField(max_length=64, unique=True)
    # How the secret begins, so that its owner recognises it.
    hint = models.CharField(max_length=16)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name

    def is_usable(self, now: datetime.datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Robot(models.Model):
    """A machine's account: its own rights, never wider than its maker's."""

    class Level(models.TextChoices):
        SYSTEM = "system", _("System")
        PROJECT = "project", _("Project")

    level = models.CharField(max_length=8, choices=Level.choices)
    project: "models.ForeignKey[Project | None, Project | None]" = models.ForeignKey(
        "accounts.Project",
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="robots",
    )
    name = ByteOrderedCharField(
        _("Name"),
        max_length=255,
        validators=[
            RegexValidator(
                ROBOT_NAME_PATTERN,
                _(
                    "Use lower-case letters and digits, separated by single dots, dashes or "
                    "underscores."
                ),
            )
        ],
    )
    # What follows the prefix when it signs in: ``project+name`` or ``name``, as it was at making.
    login = ByteOrderedCharField(max_length=512)
    description = models.CharField(_("Description"), max_length=1024, blank=True)
    # ``sha256$<hex>`` for a secret of ours, Argon2 for one that a person chose.
    secret_hash = models.CharField(max_length=255)
    # A refreshed secret's predecessor still works for a while, so that nothing breaks meanwhile.
    previous_secret_hash = models.CharField(max_length=255, blank=True)
    previous_secret_until = models.DateTimeField(null=True, blank=True)
    is_disabled = models.BooleanField(_("Disabled"), default=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    # Networks in CIDR form it may come from; none means anywhere.
    allowed_networks = models.JSONField(default=list)
    # Tags it may push, as glob patterns; none means any.
    push_tag_patterns = models.JSONField(default=list)
    auth_epoch = models.PositiveIntegerField(default=1, editable=False)
    created_by_kind = models.CharField(max_length=16)
    created_by_id = models.BigIntegerField(null=True, blank=True)
    created_by_name = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    last_used_address = models.CharField(max_length=64, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["login"]
        constraints = [
            models.UniqueConstraint(
                fields=["login"],
                condition=models.Q(deleted_at=None),
                name="robot_login_unique",
                violation_error_message=_("A robot of this name exists."),
            ),
            models.CheckConstraint(
                condition=models.Q(level="system", project=None)
                | models.Q(level="project", project__isnull=False),
                name="robot_level_fits_project",
            ),
        ]

    def __str__(self) -> str:
        return self.login

    def is_usable(self, now: datetime.datetime) -> bool:
        """Neither deleted nor disabled nor expired."""
        is_expired = self.expires_at is not None and self.expires_at <= now
        return self.deleted_at is None and not self.is_disabled and not is_expired


class RobotGrant(models.Model):
    """One action a robot may do: in the system, in every project, or in one project."""

    class Scope(models.TextChoices):
        SYSTEM = "system", _("System")
        ALL_PROJECTS = "all", _("All projects")
        PROJECT = "project", _("One project")

    robot = models.ForeignKey(Robot, on_delete=models.CASCADE, related_name="grants")
    scope = models.CharField(max_length=8, choices=Scope.choices)
    project: "models.ForeignKey[Project | None, Project | None]" = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    action = models.CharField(max_length=64)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["robot", "scope", "project", "action"],
                name="robot_grant_unique",
            )
        ]

    def __str__(self) -> str:
        return f"{self.robot_id}: {self.action} in {self.project_id or self.scope}"
