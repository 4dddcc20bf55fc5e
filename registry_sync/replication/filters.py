"""What a policy copies, and what it is called there: doublestar patterns and namespaces."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext as _
from wcmatch import glob

from accounts.errors import BadRequest
from accounts.scopes import is_repository_name
from registry_sync.immutability import is_pattern

_FLAGS = glob.GLOBSTAR | glob.BRACE | glob.DOTGLOB | glob.CASE | glob.FORCEUNIX
TYPES = ("name", "tag", "label", "resource")
RESOURCES = ("image", "artifact", "")
_MATCHES, _EXCLUDES = "matches", "excludes"
_MAX_PATTERN = 255


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of a policy, read from their stored form; empty ones let everything through."""

    name: str = ""
    tag: str = ""
    is_tag_excluded: bool = False
    labels: frozenset[str] = frozenset()
    are_labels_excluded: bool = False
    resource: str = ""

    @property
    def looks_into(self) -> bool:
        """Whether an image's name does not tell all."""
        return bool(self.labels or self.resource)

    def takes_repository(self, name: str) -> bool:
        """Tell whether a repository, named with its project, is copied."""
        return not self.name or _fits(self.name, name)

    def takes_tag(self, tag: str) -> bool:
        """Tell whether a tag is copied."""
        return not self.tag or _fits(self.tag, tag) != self.is_tag_excluded

    def takes_artifact(self, kind: str, labels: Collection[str]) -> bool:
        """Tell whether an artifact is copied: by its type (``IMAGE``…) and its labels' names."""
        if self.resource and (kind == "IMAGE") != (self.resource == "image"):
            return False
        return not self.labels or (self.labels <= set(labels)) != self.are_labels_excluded


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> "glob.WcMatcher[str]":
    return glob.compile(pattern, flags=_FLAGS, limit=100)


def _fits(pattern: str, name: str) -> bool:
    return bool(_compiled(pattern).match(name))


def read(stored: Sequence[Mapping[str, Any]]) -> Filters:
    """Return what stored filters say."""
    found: dict[str, Any] = {}
    for entry in stored:
        kind, value = entry["type"], entry["value"]
        is_excluding = entry.get("decoration") == _EXCLUDES
        if kind == "tag":
            found |= {"tag": value, "is_tag_excluded": is_excluding}
        elif kind == "label":
            found |= {"labels": frozenset(value), "are_labels_excluded": is_excluding}
        else:
            found[kind] = value
    return Filters(**found)


def checked(given: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return filters in the form in which they are stored. Raises ``BadRequest``."""
    found: dict[str, dict[str, Any]] = {}
    for entry in given:
        kind, value = entry.get("type"), entry.get("value")
        decoration = entry.get("decoration") or _MATCHES
        if kind not in TYPES or kind in found or decoration not in {_MATCHES, _EXCLUDES}:
            raise _wrong(_("Filters are name, tag, label and resource, each once."))
        if value in ("", None, []):
            continue
        if kind == "label":
            _check_labels(value)
        elif kind == "resource" and value not in RESOURCES:
            raise _wrong(_("A resource is image or artifact."))
        elif not isinstance(value, str) or len(value) > _MAX_PATTERN or not is_pattern(value):
            raise _wrong(_("%(value)r is no pattern.") % {"value": value})
        found[kind] = {"type": kind, "value": value}
        if kind in {"tag", "label"}:
            found[kind]["decoration"] = decoration
    return list(found.values())


def _check_labels(value: Any) -> None:
    if not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        raise _wrong(_("A label filter is a list of labels' names."))


def _wrong(message: str) -> BadRequest:
    return BadRequest(message, field="filters")


def destination(name: str, namespace: str, replaced: int) -> str:
    """Return what ``a/b/c/image`` is called there, with a namespace ``n`` and components replaced.

    ``-1`` replaces all but the last (``n/image``), ``0`` none (``n/a/b/c/image``), ``2`` two
    (``n/c/image``). Raises ``BadRequest`` where the name has too few, or the result is no name.
    """
    if not namespace:
        return name
    *parts, last = name.split("/")
    if replaced > len(parts):
        raise BadRequest(
            _("%(name)s has fewer than %(count)d components to replace.")
            % {"name": name, "count": replaced},
            field="dest_namespace_replace_count",
        )
    kept = parts[replaced:] if replaced >= 0 else []
    made = "/".join([namespace, *kept, last])
    if not is_repository_name(made):
        raise BadRequest(
            _("%(name)s cannot be a repository's name.") % {"name": made}, field="dest_namespace"
        )
    return made
