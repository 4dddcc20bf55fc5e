"""Retention policies: read from Harbor's form, checked, changed, confirmed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit, outbox
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import schedules, selectors
from registry_sync.models import RetentionPolicy, Schedule
from registry_sync.retention_rules import AGES, COUNTS, MAX_RULES, Reading, Rule, Template
from registry_sync.selectors import PatternError, Selector

KIND = "retention"
MAX_COUNT = 100_000
MAX_DAYS = 36_500
_TAG_DECORATIONS = {"matches": False, "excludes": True}
_SCOPE_DECORATIONS = {"repoMatches": False, "repoExcludes": True}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a policy says; ``rules`` in Harbor's form, ``cron`` empty for by hand only."""

    rules: Sequence[Mapping[str, Any]]
    cron: str = ""
    is_harbor: bool = False
    keep_latest: bool = False
    keep_pulled_days: int = 0


def reading_of(terms: "Terms | RetentionPolicy") -> Reading:
    """Return what the evaluator takes. Raises ``BadRequest`` (with ``field``) in words."""
    if len(terms.rules) > MAX_RULES:
        message = _("A policy has at most %(max)d rules.") % {"max": MAX_RULES}
        raise BadRequest(message, field="rules")
    if not 0 <= terms.keep_pulled_days <= MAX_DAYS:
        message = _("Days are a number from 0 to %(max)d.") % {"max": MAX_DAYS}
        raise BadRequest(message, field="keep_pulled_days")
    rules = []
    for number, rule in enumerate(terms.rules, start=1):
        if not isinstance(rule, Mapping):
            raise _wrong(number, _("it is not an object"))
        if not rule.get("disabled"):
            rules.append(_rule(number, rule))
    _require_consistent(rules)
    return Reading(tuple(rules), terms.is_harbor, terms.keep_latest, terms.keep_pulled_days)


def _wrong(number: int, reason: str) -> BadRequest:
    message = _("Rule %(number)d: %(reason)s.") % {"number": number, "reason": reason}
    return BadRequest(message, field="rules")


def _rule(number: int, rule: Mapping[str, Any]) -> Rule:
    if rule.get("action", "retain") != "retain":
        raise _wrong(number, _("the only action is retain"))
    name = rule.get("template")
    if name not in set(Template):
        raise _wrong(number, _("there is no template %(name)s") % {"name": repr(name)[:64]})
    template = Template(name)
    tags, is_untagged = _tag_selectors(number, rule.get("tag_selectors") or [])
    return Rule(
        number,
        template,
        _parameter(number, template, rule.get("params") or {}),
        _scope_selectors(number, rule.get("scope_selectors") or {}),
        tags,
        is_untagged,
    )


def _parameter(number: int, template: Template, parameters: Any) -> int:
    if template not in COUNTS | AGES:
        return 0
    value = parameters.get(template.value) if isinstance(parameters, Mapping) else None
    largest = MAX_COUNT if template in COUNTS else MAX_DAYS
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= largest:
        raise _wrong(
            number,
            _("%(name)s takes a whole number from 1 to %(max)d")
            % {"name": template.value, "max": largest},
        )
    return value


def _tag_selectors(number: int, given: Any) -> tuple[tuple[Selector, ...], bool]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise _wrong(number, _("tag_selectors is a list"))
    found = tuple(_selector(number, entry, _TAG_DECORATIONS) for entry in given)
    if not found:
        return (Selector("**"),), True
    return found, all(_untagged(number, entry) for entry in given)


def _untagged(number: int, entry: Mapping[str, Any]) -> bool:
    """Whether images without a tag are meant; without a word, as in Harbor."""
    is_matching = entry.get("decoration") == "matches"
    extras = entry.get("extras") or "{}"
    try:
        said = json.loads(extras) if isinstance(extras, str) else extras
        value = said.get("untagged", is_matching)
    except (ValueError, AttributeError) as error:
        raise _wrong(number, _("extras is JSON in a text")) from error
    return bool(value)


def _scope_selectors(number: int, given: Any) -> tuple[Selector, ...]:
    if not isinstance(given, Mapping):
        raise _wrong(number, _("scope_selectors is an object"))
    if given.keys() - {"repository"}:
        raise _wrong(number, _("scope_selectors knows repository only"))
    entries = given.get("repository") or []
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise _wrong(number, _("scope_selectors.repository is a list"))
    found = tuple(_selector(number, entry, _SCOPE_DECORATIONS) for entry in entries)
    return found or (Selector("**"),)


def _selector(number: int, entry: Any, decorations: Mapping[str, bool]) -> Selector:
    if not isinstance(entry, Mapping):
        raise _wrong(number, _("a selector is an object"))
    if entry.get("kind", "doublestar") != "doublestar":
        raise _wrong(number, _("the only kind of selector is doublestar"))
    decoration, pattern = str(entry.get("decoration")), entry.get("pattern")
    if decoration not in decorations or not isinstance(pattern, str):
        known = ", ".join(decorations)
        raise _wrong(number, _("a selector has a pattern, and one of %(known)s") % {"known": known})
    try:
        selectors.check(pattern)
    except PatternError as error:
        raise _wrong(number, str(error)) from error
    is_excluding = decorations[decoration]
    if is_excluding and (
        pattern == selectors.EVERYTHING or (pattern == "*" and "matches" in decorations)
    ):
        raise _wrong(number, _("it excludes everything, and so speaks of nothing"))
    return Selector(pattern, is_excluding)


def _require_consistent(rules: list[Rule]) -> None:
    """Refuse rules that cannot mean what they say."""
    seen: dict[object, Rule] = {}
    by_scope: dict[object, Rule] = {}
    for rule in rules:
        scope = (rule.repositories, rule.tags, rule.is_untagged)
        same = seen.setdefault((*scope, rule.template, rule.parameter), rule)
        if same is not rule:
            raise _wrong(rule.number, _("it is the same as rule %(n)d") % {"n": same.number})
        if rule.template in {Template.ALWAYS, Template.NOTHING}:
            other = by_scope.setdefault(scope, rule)
            if other.template != rule.template:
                message = _("it contradicts rule %(n)d, which speaks of the same tags")
                raise _wrong(rule.number, message % {"n": other.number})


# --- Changing -------------------------------------------------------------------------------------


@transaction.atomic
def create(project: Project, *, terms: Terms, actor: Actor) -> RetentionPolicy:
    """Give a project a policy. Raises ``BadRequest``, ``Conflict`` where it has one."""
    reading_of(terms)
    _lock(project)
    if RetentionPolicy.objects.filter(project=project).exists():
        raise Conflict(_("The project has a retention policy already; change that."))
    policy = RetentionPolicy(project=project)
    _fill(policy, terms)
    policy.save(force_insert=True)
    _schedule(policy, terms.cron, actor)
    _note(policy, "create_retention", actor)
    return policy


@transaction.atomic
def update(policy: RetentionPolicy, *, terms: Terms, actor: Actor) -> RetentionPolicy:
    """Change a policy; what was confirmed of it counts no more where its rules changed."""
    reading_of(terms)
    locked = _locked(policy)
    before = _said(locked)
    _fill(locked, terms)
    if _said(locked) != before:
        locked.version += 1
    locked.save()
    _schedule(locked, terms.cron, actor)
    _note(locked, "update_retention", actor)
    return locked


@transaction.atomic
def delete(policy: RetentionPolicy, *, actor: Actor) -> None:
    """Remove a policy with its schedule; what its runs deleted can be restored all the same."""
    locked = _locked(policy)
    schedules.remove(KIND, policy_id=locked.pk, actor=actor)
    _note(locked, "delete_retention", actor)
    locked.delete()


@transaction.atomic
def confirm(
    policy: RetentionPolicy, *, version: int, percent: int, empties: bool, actor: Actor
) -> RetentionPolicy:
    """Note that somebody saw what this version removes. Raises ``Conflict`` for another version."""
    locked = _locked(policy)
    if locked.version != version:
        raise Conflict(_("The policy has changed since this preview; look at it again."))
    locked.confirmed_version = version
    locked.confirmed_percent = percent
    locked.confirmed_empties = empties
    locked.save(update_fields=["confirmed_version", "confirmed_percent", "confirmed_empties"])
    _note(locked, "confirm_retention", actor, percent=percent)
    return locked


def cron_of(policy: RetentionPolicy) -> str:
    """Return when it runs; empty for by hand only."""
    schedule = schedule_of(policy)
    return schedule.cron if schedule else ""


def schedule_of(policy: RetentionPolicy) -> Schedule | None:
    """Return its schedule."""
    return Schedule.objects.filter(kind=KIND, policy_id=policy.pk).first()


def _fill(policy: RetentionPolicy, terms: Terms) -> None:
    policy.rules = [dict(rule) for rule in terms.rules]
    policy.is_harbor = terms.is_harbor
    policy.keep_latest = terms.keep_latest
    policy.keep_pulled_days = terms.keep_pulled_days


def _said(policy: RetentionPolicy) -> tuple[object, ...]:
    return policy.rules, policy.is_harbor, policy.keep_latest, policy.keep_pulled_days


def _schedule(policy: RetentionPolicy, cron: str, actor: Actor) -> None:
    if not cron:
        schedules.remove(KIND, policy_id=policy.pk, actor=actor)
    elif cron_of(policy) != " ".join(cron.split()):
        schedules.put(KIND, policy_id=policy.pk, cron=cron, actor=actor)


def _lock(project: Project) -> None:
    if not Project.objects.alive().select_for_update(no_key=True).filter(pk=project.pk).first():
        raise NotFound(_("project not found"))


def _locked(policy: RetentionPolicy) -> RetentionPolicy:
    rows = RetentionPolicy.objects.select_for_update(of=("self",), no_key=True)
    locked = rows.select_related("project").filter(pk=policy.pk).first()
    if locked is None:
        raise NotFound(_("there is no such retention policy"))
    return locked


def _note(policy: RetentionPolicy, action: str, actor: Actor, **detail: Any) -> None:
    project = policy.project
    shown = {"rules": len(policy.rules), "version": policy.version, **detail}
    audit.record(actor, action, project.name, project=project, detail=shown)
    outbox.emit(
        "retention.changed",
        f"project:{project.pk}",
        project=project.name,
        action=action,
        actor=actor.principal.name,
    )
