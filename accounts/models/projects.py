"""Projects and who belongs to them."""

import datetime
from typing import TYPE_CHECKING, Self

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models.credentials import RobotGrant
from accounts.models.fields import ByteOrderedCharField
from accounts.principals import Principal
from accounts.roles import Role

if TYPE_CHECKING:
    from accounts.models.users import User

# \Z, not $: a dollar also matches before a line feed at the end.
PROJECT_NAME_PATTERN = r"^[a-z0-9]+(?:[._-][a-z0-9]+)*\Z"
# First path components that the portal itself answers, and names that would read as one of them.
RESERVED_PROJECT_NAMES = frozenset(
    {"p", "v2", "api", "admin", "account", "search", "static", "service", "r"}
)


class ProjectQuerySet(models.QuerySet["Project"]):
    """Questions about projects."""

    def alive(self) -> Self:
        """Leave out the deleted ones."""
        return self.filter(deleted_at=None)

    def trashed(self) -> Self:
        """Only the deleted ones that still hold what they held."""
        return self.filter(deleted_at__isnull=False, purged_at=None)

    def visible_to(self, principal: Principal) -> Self:
        """Only what this caller may know of: everything, public ones, or those it belongs to."""
        projects = self.alive()
        if principal.is_administrator or principal.is_auditor:
            return projects
        if principal.robot_id is not None:
            return self._visible_to_robot(principal.robot_id)
        if principal.user_id is None:
            return projects.filter(is_public=True)
        return projects.filter(
            models.Q(is_public=True)
            | models.Q(
                models.Exists(
                    ProjectMember.objects.filter(
                        project=models.OuterRef("pk"), user_id=principal.user_id
                    )
                )
            )
        )

    def _visible_to_robot(self, robot_id: int) -> Self:
        grants = RobotGrant.objects.filter(robot_id=robot_id)
        return self.alive().filter(
            models.Q(is_public=True)
            | models.Q(models.Exists(grants.filter(project=models.OuterRef("pk"))))
            | models.Q(models.Exists(grants.filter(scope=RobotGrant.Scope.ALL_PROJECTS)))
        )


class Project(models.Model):
    """The first component of a repository name; the unit of access and quota.

    The primary key is the *incarnation*: a project deleted and made again under its name is
    another row, with another key in the registry (``catalogue``: bytes of the old one can never be
    reached through the new one).
    """

    name = ByteOrderedCharField(
        _("Name"),
        max_length=255,
        validators=[
            RegexValidator(
                PROJECT_NAME_PATTERN,
                _(
                    "Use lower-case letters and digits, separated by single dots, dashes or "
                    "underscores."
                ),
            )
        ],
    )
    registry_key = ByteOrderedCharField(max_length=300, unique=True, editable=False)
    is_public = models.BooleanField(_("Public"), default=False)
    is_read_only = models.BooleanField(_("Read-only"), default=False)
    # Filled from another registry; nobody pushes into it.
    is_proxy = models.BooleanField(default=False, db_default=False, editable=False)
    storage_limit = models.BigIntegerField(
        _("Storage limit"), default=-1, help_text=_("In bytes; -1 for no limit.")
    )
    owner = models.ForeignKey(
        "accounts.User", on_delete=models.PROTECT, related_name="owned_projects"
    )
    trash_days = models.PositiveSmallIntegerField(
        _("Days in the trash"),
        default=7,
        help_text=_("How long what is deleted can be restored; 0 for not at all."),
    )
    # Where it is not, the project's own list of tolerated vulnerabilities holds.
    reuses_system_allowlist = models.BooleanField(
        _("Tolerate what the system tolerates"), default=True, db_default=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Until when a deleted project can be restored; fixed at its deletion.
    purge_at = models.DateTimeField(null=True, blank=True, editable=False)
    # When what it held was given up. The row stays: its key in the registry is never used again.
    purged_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"],
                condition=models.Q(deleted_at=None),
                name="project_name_unique",
                violation_error_message=_("A project of this name exists."),
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProjectAliasQuerySet(models.QuerySet["ProjectAlias"]):
    """Questions about former names."""

    def current(self, now: datetime.datetime) -> Self:
        """Those that still lead to a project."""
        return self.filter(expires_at__gt=now, project__deleted_at=None)


class ProjectAlias(models.Model):
    """A project's former name, which pulls may use for a while and no other project may take.

    Whoever took it meanwhile would hand their images to everyone who still uses the old name.
    """

    name = ByteOrderedCharField(max_length=255, unique=True)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="aliases")
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectAliasQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} was {self.project_id}"


class ProjectMember(models.Model):
    """A user's role in a project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    user: "models.ForeignKey[User, User]" = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.PositiveSmallIntegerField(
        _("Role"), choices=[(role.value, role.label) for role in Role]
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "user"],
                name="project_member_unique",
                violation_error_message=_("This user is a member already."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.project_id}: {self.get_role_display()}"
