"""Pinning projects and repositories to one's own home page.

A preference of one person, as the language is: it is in no audit.
"""

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.errors import Conflict
from accounts.models import Project
from accounts.principals import Principal
from registry_sync.models import HomePin

MOST = 24


@transaction.atomic
def pin(project: Project, path: str = "", *, principal: Principal) -> None:
    """Pin a project, or the repository at ``path`` in it; twice is as good as once.

    Raises ``Conflict`` where so many are pinned already that they are of no use.
    """
    own = _own(principal)
    if own.filter(project=project, path=path).exists():
        return
    if own.count() >= MOST:
        raise Conflict(
            _("At most %(max)d things can be pinned; take one off your home page first.")
            % {"max": MOST}
        )
    HomePin.objects.get_or_create(user_id=principal.user_id or 0, project=project, path=path)


def unpin(project: Project, path: str = "", *, principal: Principal) -> None:
    """Take it off the home page; what is not there stays away."""
    _own(principal).filter(project=project, path=path).delete()


def is_pinned(project: Project, path: str = "", *, principal: Principal) -> bool:
    """Whether this person has it on their home page."""
    return _own(principal).filter(project=project, path=path).exists()


def of(principal: Principal) -> QuerySet[HomePin]:
    """Return somebody's pins in projects that they may still know of, with their projects."""
    pins = _own(principal).filter(project__in=Project.objects.visible_to(principal))
    return pins.select_related("project").order_by("project__name", "path")


def _own(principal: Principal) -> QuerySet[HomePin]:
    return HomePin.objects.filter(user_id=principal.user_id or 0)
