"""What happened, as far as a caller may know of it: the audit without addresses and refusals."""

from django.db.models import Q, QuerySet

from accounts.access import can_system, projects_where
from accounts.models import AuditEntry, Project
from accounts.principals import Principal

# What happens to images: whoever sees a project's repositories may know it, and sees it there too.
OF_CONTENT = frozenset(
    {
        "create_artifact",
        "copy_artifact",
        "import_repository",
        "create_tag",
        "delete_tag",
        "delete_artifact",
        "delete_repository",
        "restore_tag",
        "restore_artifact",
        "restore_repository",
        "update_repository",
        "create_artifact_label",
        "delete_artifact_label",
    }
)
# No activity: that somebody came, that a program told something, what is nobody else's matter.
_NO_ACTIVITY = (
    "login_user",
    "confirm_password",
    "close_first_run",
    "update_page",
    "update_preferences",
    "report_in_use",
    "create_token",
    "delete_token",
    "delete_session",
    "create_password_reset",
    "use_password_reset",
)


def entries(principal: Principal, project: Project | None = None) -> QuerySet[AuditEntry]:
    """Return the changes that the caller may know of, everywhere or in one project.

    Of images, those in every project whose repositories the caller may list; of members, robots
    and settings, those in projects whose log it may read; what belongs to no project, and what
    belonged to a project that is deleted, only whoever may read the whole audit. A push that set
    no tag (a platform of an image, a signature) is none of its own.
    """
    done = AuditEntry.objects.filter(outcome=AuditEntry.Outcome.SUCCESS)
    done = done.exclude(action="create_artifact", resource__contains="@")
    if can_system(principal, "audit-log:list"):
        rows = done.exclude(action__in=_NO_ACTIVITY)
        return rows if project is None else rows.filter(project_id=project.pk)
    listed = projects_where(principal, "repository:list")
    logged = projects_where(principal, "log:list")
    if project is not None:
        listed, logged = (rows.filter(pk=project.pk) for rows in (listed, logged))
    content = Q(project_id__in=listed.values("pk"), action__in=sorted(OF_CONTENT))
    everything = Q(project_id__in=logged.values("pk")) & ~Q(action__in=_NO_ACTIVITY)
    return done.filter(content | everything)
