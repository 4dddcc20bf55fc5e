"""Tells an image's layers one by one, as somebody would who explains them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from portal.templatetags.portal import size
from portal.web.image_config import Step


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one layer does to the file system."""

    number: int
    text: str

    @property
    def hue(self) -> int:
        """Which of eight colours the layer's number has."""
        return (self.number - 1) % 8 + 1


def lessons(result: dict[str, Any], instructions: Sequence[Step]) -> Iterator[Lesson]:
    """Yield what each layer does, from the bottom."""
    keywords = {step.number: step.keyword for step in instructions if step.number}
    for number, share in enumerate(result["layers"], start=1):
        yield Lesson(number, _lesson(share, keywords.get(number, ""), is_first=number == 1))


def _lesson(share: dict[str, Any], keyword: str, *, is_first: bool) -> str:
    facts = {
        "keyword": keyword or _("An instruction"),
        "added": share["added"],
        "modified": share["modified"],
        "removed": share["removed"],
        "bytes": size(share.get("bytes", 0)),
        "wasted": size(share["wasted"]),
    }
    if share.get("error"):
        return _("It cannot be read.")
    if is_first:
        text = _("%(keyword)s lays the ground: %(added)s files, %(bytes)s.")
    elif share["removed"] or share["opaques"]:
        text = _(
            "%(keyword)s adds %(added)s files, replaces %(modified)s, and hides %(removed)s behind "
            "markers. Hidden files are still downloaded."
        )
    elif share["modified"]:
        text = _(
            "%(keyword)s adds %(added)s files and replaces %(modified)s: a container sees the new "
            "ones, the old ones stay below."
        )
    else:
        text = _("%(keyword)s adds %(added)s files, %(bytes)s, and changes nothing below.")
    if share["wasted"]:
        text += " " + _("Of its bytes no container ever sees %(wasted)s.")
    return text % facts
