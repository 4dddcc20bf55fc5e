"""What stands around the content of a repository's pages: its head and its tabs."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.access import rights
from accounts.roles import PUBLIC_ACTIONS
from portal.web.access import principal_of
from portal.web.image_lists import images_of
from portal.web.keyset import counted
from portal.web.markdown import summary_of
from registry_sync import home_pins
from registry_sync.models import Repository, Tag
from registry_sync.tag_filters import tags_for_people

# A tab's number stops here.
_MOST = 1000
_TABS = (
    ("tags", _("Tags"), "repositories:detail"),
    ("images", _("Images"), "repositories:images"),
    ("history", _("History"), "repositories:history"),
    ("about", _("About"), "repositories:about"),
)


@dataclass(frozen=True, slots=True)
class Link:
    """A tab as it is shown."""

    words: str | Promise
    url: str
    is_current: bool
    count: int | None = None
    is_partial: bool = False


def frame(request: HttpRequest, repository: Repository, current: str) -> dict[str, object]:
    """Return what the templates of a repository's pages need around their content."""
    project = repository.project
    tags = tags_for_people(Tag.objects.filter(repository=repository))
    counts = {"tags": counted(tags, _MOST), "images": counted(images_of(repository), _MOST)}
    at = [project.name, repository.path]
    own = rights_in(request, repository)
    return {
        "section": "projects",
        "project": project,
        "repository": repository,
        "summary": summary_of(repository.description),
        "repository_tabs": [
            Link(words, reverse(view, args=at), key == current, *counts.get(key, ()))
            for key, words, view in _TABS
        ],
        "is_pinned": home_pins.is_pinned(project, repository.path, principal=principal_of(request)),
        "may_delete_repository": "repository:delete" in own,
    }


def rights_in(request: HttpRequest, repository: Repository) -> frozenset[str]:
    """Return what the caller may do in the repository's project."""
    project = repository.project
    own = rights(principal_of(request), [project])[project.pk]
    return own | PUBLIC_ACTIONS if project.is_public else own
