"""Verdicts and rules of retention in words, for people and logs."""

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from registry_sync.retention_rules import Reading, Rule, Template

_PROTECTIONS = {
    "immutable": lambda: _("An immutable rule holds it"),
    "pinned": lambda: _("Somebody pinned it"),
    "in_use": lambda: _("It runs in a cluster"),
    "platform": lambda: _("A multi-platform image needs it"),
    "restorable": lambda: _("A multi-platform image in the trash needs it"),
    "accessory": lambda: _("It belongs to an image that is here"),
    "latest": lambda: _("The tag latest always stays"),
    "unspoken": lambda: _("No rule speaks of it"),
    "unmatched": lambda: _("No rule keeps it"),
}


def why(reason: str, rule: int, detail: Sequence[Any], *, is_kept: bool) -> str:
    """Say why an image stays or goes."""
    if reason in _PROTECTIONS:
        return _PROTECTIONS[reason]()
    if reason == "pulled":
        days = int(detail[0])
        text = ngettext("Pulled in the last %(days)d day", "Pulled in the last %(days)d days", days)
        return text % {"days": days}
    if reason == "count":
        return _("Rule %(rule)d: number %(place)d, it keeps %(count)d") % {
            "rule": rule,
            "place": detail[0],
            "count": detail[1],
        }
    if reason == "age":
        days = int(detail[0])
        if is_kept:
            text = ngettext(
                "Rule %(rule)d: within %(days)d day", "Rule %(rule)d: within %(days)d days", days
            )
        else:
            text = ngettext(
                "Rule %(rule)d: older than %(days)d day",
                "Rule %(rule)d: older than %(days)d days",
                days,
            )
        return text % {"rule": rule, "days": days}
    if reason == Template.ALWAYS:
        return _("Rule %(rule)d: always kept") % {"rule": rule}
    return _("Rule %(rule)d: never kept") % {"rule": rule}


def sentence(rule: Rule) -> str:
    """Say what a rule keeps."""
    where = ", ".join(_scope(s.pattern, is_excluding=s.is_excluding) for s in rule.repositories)
    tags = ", ".join(_scope(s.pattern, is_excluding=s.is_excluding) for s in rule.tags)
    return _("In repositories %(where)s, of tags %(tags)s: %(what)s") % {
        "where": where,
        "tags": tags,
        "what": _what(rule),
    }


def _scope(pattern: str, *, is_excluding: bool) -> str:
    return _("other than %(pattern)s") % {"pattern": pattern} if is_excluding else pattern


def _what(rule: Rule) -> str:
    count = rule.parameter
    texts = {
        Template.PUSHED: ngettext(
            "keep the %(count)d pushed last", "keep the %(count)d pushed last", count
        ),
        Template.PULLED: ngettext(
            "keep the %(count)d pulled last", "keep the %(count)d pulled last", count
        ),
        Template.ACTIVE: ngettext(
            "keep the %(count)d pushed or pulled last",
            "keep the %(count)d pushed or pulled last",
            count,
        ),
        Template.PATCHES: ngettext(
            "keep the last %(count)d patch of each minor version, pre-releases apart",
            "keep the last %(count)d patches of each minor version, pre-releases apart",
            count,
        ),
        Template.PUSHED_DAYS: ngettext(
            "keep what was pushed in the last %(count)d day",
            "keep what was pushed in the last %(count)d days",
            count,
        ),
        Template.LAST_DAYS: ngettext(
            "keep what was pushed in the last %(count)d day",
            "keep what was pushed in the last %(count)d days",
            count,
        ),
        Template.PULLED_DAYS: ngettext(
            "keep what was pulled in the last %(count)d day",
            "keep what was pulled in the last %(count)d days",
            count,
        ),
        Template.ALWAYS: _("keep all"),
        Template.NOTHING: _("keep none"),
    }
    text = texts[rule.template]
    return text % {"count": count} if rule.parameter else text


def sentences(reading: Reading) -> list[str]:
    """Say what each rule keeps."""
    return [sentence(rule) for rule in reading.rules]
