"""Lines of activity: entries of the audit put together, into words, with links to what is there."""

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts import activity
from accounts.models import AuditEntry, Project
from accounts.principals import SYSTEM, Principal
from portal.templatetags.portal import brief
from portal.web.activity_words import sentence
from registry_sync.models import Repository, Tag

_SHOWN_TAGS = 6
_IMAGE = re.compile(r"(?P<project>[^/:@ ]+)/(?P<path>[^:@ ]+)(?::(?P<tag>[^@ ]+)|(?P<digest>@.+))?")


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody did, once or several times in a row."""

    at: datetime.datetime
    actor: str
    words: SafeString
    # Of what was pushed.
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A day's lines below its heading."""

    day: datetime.date
    words: str
    lines: list[Line]


def by_day(entries: list[AuditEntry], principal: Principal) -> list[Day]:
    """Return the lines of each day, in the order of the entries. Three queries."""
    links = _Links.of(entries, principal)
    lines = [_line(group, links) for group in _grouped(entries)]
    days = groupby(lines, lambda line: timezone.localtime(line.at).date())
    return [Day(day, _words(day), list(group)) for day, group in days]


def _words(day: datetime.date) -> str:
    age = (timezone.localdate() - day).days
    return {0: _("Today"), 1: _("Yesterday")}.get(age) or day.isoformat()


def _grouped(entries: list[AuditEntry]) -> list[list[AuditEntry]]:
    """Put the pushes of several tags of a repository, one after another, together."""
    copies = {entry.request_id for entry in entries if entry.action == "copy_artifact"} - {""}
    kept = [
        entry
        for entry in entries
        # A copy wrote down its tags' pushes too.
        if entry.action != "create_artifact" or entry.request_id not in copies
    ]
    return [list(group) for _same, group in groupby(kept, _likeness)]


def _likeness(entry: AuditEntry) -> tuple[object, ...]:
    """What entries of one line have in common."""
    image = _image(entry)
    if image is None:
        return (entry.pk,)
    day = timezone.localtime(entry.at).date()
    place = image["project"], image["path"]
    about = entry.detail.get("label"), entry.detail.get("digest")
    return entry.actor_name, entry.action, entry.project_id, place, day, about


def _image(entry: AuditEntry) -> re.Match[str] | None:
    return _IMAGE.fullmatch(entry.resource) if entry.action in activity.OF_CONTENT else None


@dataclass(frozen=True, slots=True)
class _Links:
    """What of the things that are spoken of is still there."""

    projects: dict[int, str]
    repositories: dict[tuple[int, str], int]
    tags: set[tuple[int, str]]

    @classmethod
    def of(cls, entries: Iterable[AuditEntry], principal: Principal) -> "_Links":
        """Look everything up."""
        ids, paths, names = set(), set(), set()
        for entry in entries:
            image = _image(entry)
            ids.add(entry.project_id or 0)
            if image is not None:
                paths.add(image["path"])
                names.add(image["tag"] or "")
        rows = Project.objects.visible_to(principal).filter(pk__in=ids)
        projects = dict(rows.values_list("pk", "name"))
        there = Repository.objects.pushed().filter(project_id__in=projects, path__in=paths)
        repositories = {
            (project, path): pk
            for pk, project, path in there.values_list("pk", "project_id", "path")
        }
        tags = Tag.objects.filter(
            repository_id__in=repositories.values(), name__in=names, artifact__isnull=False
        )
        return cls(projects, repositories, set(tags.values_list("repository_id", "name")))


def _line(entries: list[AuditEntry], links: _Links) -> Line:
    entry = entries[0]
    detail = entry.detail
    who = "Moorage" if entry.actor_kind == SYSTEM.kind else entry.actor_name
    parts = {
        "who": format_html("<b>{}</b>", who),
        "what": _what(entries, links),
        "source": brief(str(detail.get("from", "–"))),
        "label": str(detail.get("label", "")),
        "former": str(detail.get("former", "")),
    }
    digest = str(detail.get("digest", "")) if entry.action == "create_artifact" else ""
    return Line(entry.at, who, sentence(entry.action, parts), digest)


def _what(entries: list[AuditEntry], links: _Links) -> SafeString:
    """Name the thing, with links to what is still there."""
    entry = entries[0]
    image = _image(entry)
    project = links.projects.get(entry.project_id or 0)
    if image is None:
        is_project = project is not None and entry.resource == project
        return _linked(entry.resource, "projects:detail" if is_project else "", project)
    repository = links.repositories.get((entry.project_id or 0, image["path"]))
    place = project, image["path"]
    view = "repositories:detail" if repository else ""
    name = _linked(f"{image['project']}/{image['path']}", view, *place)
    tags = list(dict.fromkeys(tag for each in entries if (tag := _tag(each))))
    if not tags:
        return format_html("{}{}", name, brief(image["digest"] or ""))
    shown = [
        _linked(tag, "repositories:tag" if (repository, tag) in links.tags else "", *place, tag)
        for tag in tags[:_SHOWN_TAGS]
    ]
    more = f", +{len(tags) - _SHOWN_TAGS}" if len(tags) > _SHOWN_TAGS else ""
    listed = format_html_join(", ", "{}", ((tag,) for tag in shown))
    return format_html("{}:{}{}", name, listed, more)


def _tag(entry: AuditEntry) -> str:
    image = _image(entry)
    return (image["tag"] or "") if image else ""


def _linked(text: str, view: str, *place: str | None) -> SafeString:
    """Return a name, as a link where the page of it is known."""
    if not view:
        return format_html('<span class="mo-feed-ref">{}</span>', text)
    url = reverse(view, args=place)
    return format_html('<a class="mo-feed-ref" href="{}">{}</a>', url, text)
