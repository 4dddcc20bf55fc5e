"""Which tags of a repository a page lists, and in which order: all of it from the address."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.principals import Principal
from registry_sync.models import Artifact, ArtifactReference, Repository, Tag
from registry_sync.tag_filters import matching, tags_for_people

# What each order is called in the address; the first is the usual one.
ORDERS = {
    "version": ("-sort_key", "-pk"),
    "-version": ("sort_key", "pk"),
    "pushed": ("-pushed_at", "-pk"),
    "-pushed": ("pushed_at", "pk"),
}
PUSHERS = {
    "": _("Pushed by anyone"),
    "me": _("Pushed by me"),
    "people": _("Pushed by people"),
    "robots": _("Pushed by robots"),
}
# So many platforms are offered.
_PLATFORMS = 24


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for."""

    query: str = ""
    platform: str = ""
    by: str = ""
    order: str = "version"

    @classmethod
    def of(cls, parameters: Mapping[str, str]) -> "Filter":
        """Read it from the address, or from a form that repeats it."""
        order, by = parameters.get("sort", ""), parameters.get("by", "")
        return cls(
            query=parameters.get("q", "").strip()[:256].replace("\0", ""),
            platform=parameters.get("platform", "")[:129].replace("\0", ""),
            by=by if by in PUSHERS else "",
            order=order if order in ORDERS else "version",
        )

    @property
    def is_plain(self) -> bool:
        """Whether nothing but the words narrows the list."""
        return not self.platform and not self.by

    @property
    def is_empty(self) -> bool:
        """Whether everything is listed."""
        return self.is_plain and not self.query

    def tags(self, repository: Repository, principal: Principal) -> QuerySet[Tag]:
        """Return the tags that match, those of tools apart."""
        found = matching(tags_for_people(Tag.objects.filter(repository=repository)), self.query)
        if self.platform:
            found = found.filter(_on(self.platform))
        is_robots = Q(pushed_by_name__startswith=settings.MOORAGE_ROBOT_PREFIX)
        if self.by == "me":
            return found.filter(pushed_by_id=principal.user_id or 0)
        if self.by:
            return found.filter(is_robots if self.by == "robots" else ~is_robots)
        return found


def _on(platform: str) -> Q:
    """Images for a platform, and indexes that hold one."""
    os, _slash, architecture = platform.partition("/")
    entries = ArtifactReference.objects.filter(
        parent=OuterRef("artifact"), os=os, architecture=architecture
    )
    return Q(artifact__os=os, artifact__architecture=architecture) | Q(Exists(entries))


def platforms_of(repository: Repository) -> list[str]:
    """Return the platforms of the repository's images: ``linux/amd64``."""
    rows = (
        Artifact.objects.live()
        .filter(repository=repository)
        .exclude(Q(os="") | Q(os="unknown"))
        .order_by("os", "architecture")
        .values_list("os", "architecture")
        .distinct()[:_PLATFORMS]
    )
    return [f"{os}/{architecture}" for os, architecture in rows]
