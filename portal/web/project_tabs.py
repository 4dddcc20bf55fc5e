"""The tabs of a project's pages: which there are, and which of them a caller may open.

A page of a project passes ``frame(request, project, current)`` into its context. A new page of the
settings is one line in ``_SETTINGS``.
"""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.access import rights
from accounts.models import Project
from portal.web.access import principal_of
from registry_sync import home_pins


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of a project, and what one must be allowed to see it."""

    key: str
    words: str | Promise
    view: str
    action: str
    # Only projects that another registry fills have it.
    is_of_proxy: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A tab as it is shown."""

    words: str | Promise
    url: str
    is_current: bool


_TRASH = Tab("trash", _("Trash"), "projects:trash", "artifact:delete")
_OVERVIEW = Tab("overview", _("Overview"), "projects:overview", "repository:list")
_ACTIVITY = Tab("activity", _("Activity"), "projects:activity", "repository:list")
_SETTINGS = (
    Tab("general", _("General"), "projects:settings", "metadata:read"),
    Tab("proxy", _("Upstream"), "projects:proxy", "metadata:read", is_of_proxy=True),
    Tab("members", _("Members"), "projects:members", "member:list"),
    Tab("robots", _("Robots"), "projects:robots", "robot:list"),
    Tab("retention", _("Retention"), "projects:retention", "tag-retention:read"),
    Tab("immutable", _("Immutable tags"), "projects:immutable_rules", "immutable-tag:list"),
    Tab("layers", _("Layers"), "projects:layer_policy", "metadata:read"),
    Tab("labels", _("Labels"), "projects:labels", "label:list"),
    Tab("allowlist", _("Vulnerabilities"), "projects:allowlist", "metadata:read"),
    Tab("name", _("Name"), "projects:rename", "project:update"),
    Tab("delete", pgettext_lazy("project", "Delete"), "projects:delete", "project:delete"),
)


def frame(
    request: HttpRequest,
    project: Project,
    current: str = "",
    own: frozenset[str] | None = None,
) -> dict[str, object]:
    """Return what the templates of a project's pages need around their content.

    ``own`` are the caller's rights in the project, where the view has them already.
    """
    principal = principal_of(request)
    if own is None:
        own = rights(principal, [project])[project.pk]
    settings = [
        _link(tab, project, is_current=tab.key == current)
        for tab in _SETTINGS
        if tab.action in own and (project.is_proxy or not tab.is_of_proxy)
    ]
    is_settings = any(link.is_current for link in settings)
    home = reverse("projects:detail", args=[project.name])
    others = {_OVERVIEW.key, _ACTIVITY.key, _TRASH.key}
    tabs = [
        Link(_("Repositories"), home, not is_settings and current not in others),
        _link(_OVERVIEW, project, is_current=current == _OVERVIEW.key),
        _link(_ACTIVITY, project, is_current=current == _ACTIVITY.key),
    ]
    if _TRASH.action in own:
        tabs.append(_link(_TRASH, project, is_current=current == _TRASH.key))
    if settings:
        tabs.append(Link(_("Settings"), settings[0].url, is_settings))
    return {
        "section": "projects",
        "project": project,
        "tabs": tabs,
        "settings_tabs": settings if is_settings else [],
        "is_pinned": not is_settings
        and not principal.is_anonymous
        and home_pins.is_pinned(project, principal=principal),
    }


def _link(tab: Tab, project: Project, *, is_current: bool) -> Link:
    return Link(tab.words, reverse(tab.view, args=[project.name]), is_current)
