"""Making, changing and deleting a project's immutable rules, and what one would hold."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, Conflict, NotFound
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import usage
from registry_sync.immutability import Rule, is_pattern, rule_of
from registry_sync.models import ImmutableRule, Repository, Tag
from registry_sync.tag_filters import tags_for_people

MAX_RULES = 50
_MAX_LENGTH = 255
_EXAMPLES = 12
# So many tags are looked at for a preview; beyond it the count is a lower bound.
_LOOKED_AT = 200_000


def create(
    project: Project, *, rule: Rule, is_disabled: bool = False, actor: Actor
) -> ImmutableRule:
    """Make a rule; it holds for every push that commits after it.

    Raises ``BadRequest`` (with ``field``), ``Conflict`` for a rule that is there already.
    """
    _check(rule)
    row = _with(ImmutableRule(project=project), rule, is_disabled=is_disabled)
    return _save(row, "create_immutable_rule", actor, is_new=True)


def update(
    row: ImmutableRule, *, rule: Rule, is_disabled: bool = False, actor: Actor
) -> ImmutableRule:
    """Change a rule, or switch it off and on. Raises as ``create`` does, and ``NotFound``."""
    _check(rule)
    row = _with(row, rule, is_disabled=is_disabled)
    return _save(row, "update_immutable_rule", actor, is_new=False)


@transaction.atomic
def remove(row: ImmutableRule, *, actor: Actor) -> None:
    """Delete a rule. Raises ``NotFound``."""
    usage.lock(row.project_id)
    if not ImmutableRule.objects.filter(pk=row.pk).delete()[0]:
        raise NotFound(_("immutable rule not found"))
    _record(row, "delete_immutable_rule", actor)


def _save(row: ImmutableRule, action: str, actor: Actor, *, is_new: bool) -> ImmutableRule:
    try:
        with transaction.atomic():
            # Writers of the project's tags wait for this lock, and then see the rule.
            usage.lock(row.project_id)
            others = ImmutableRule.objects.filter(project_id=row.project_id)
            if is_new and others.count() >= MAX_RULES:
                message = _("A project has at most %(max)d immutable rules.")
                raise BadRequest(message % {"max": MAX_RULES})
            if not is_new and not others.filter(pk=row.pk).exists():
                raise NotFound(_("immutable rule not found"))
            row.save()
            _record(row, action, actor)
    except IntegrityError as error:
        raise Conflict(_("The project has this immutable rule already.")) from error
    return row


def _with(row: ImmutableRule, rule: Rule, *, is_disabled: bool) -> ImmutableRule:
    row.tag_pattern, row.tag_match = rule.tag_pattern, rule.tag_match
    row.repository_pattern, row.repository_match = rule.repository_pattern, rule.repository_match
    row.is_disabled = is_disabled
    return row


def _check(rule: Rule) -> None:
    for name in ("repository_pattern", "tag_pattern"):
        text: str = getattr(rule, name)
        if len(text) > _MAX_LENGTH or not is_pattern(text):
            raise BadRequest(_("Write a pattern such as v*, {1,2}.* or **."), field=name)


def _record(row: ImmutableRule, action: str, actor: Actor) -> None:
    rule = rule_of(row)
    detail: dict[str, object] = {
        "repositories": f"{rule.repository_match} {rule.repository_pattern}",
        "tags": f"{rule.tag_match} {rule.tag_pattern}",
        "disabled": row.is_disabled,
    }
    audit.record(actor, action, row.project.name, project=row.project, detail=detail)


# --- Before it is saved ---------------------------------------------------------------------------


@dataclass(slots=True)
class Preview:
    """What a rule would hold, as it looks now."""

    tags: int = 0
    repositories: int = 0
    # The first of them: ``app:1.0``.
    examples: list[str] = field(default_factory=list)
    # Whether there may be more than were counted.
    is_partial: bool = False


def preview(project: Project, rule: Rule) -> Preview:
    """Count the tags that a rule would hold. Raises ``BadRequest`` for what is no pattern."""
    _check(rule)
    found = Preview()
    repositories = Repository.objects.pushed().filter(project=project).order_by("path")
    paths = {pk: path for pk, path in repositories.values_list("pk", "path") if rule.covers(path)}
    tags = tags_for_people(Tag.objects.filter(repository__project=project))
    rows = tags.order_by("repository__path", "-sort_key", "-id")
    seen, held = 0, set()
    for repository_id, name in rows.values_list("repository_id", "name").iterator():
        seen += 1
        if seen > _LOOKED_AT:
            found.is_partial = True
            break
        path = paths.get(repository_id)
        if path is None or not rule.holds(path, name):
            continue
        found.tags += 1
        held.add(repository_id)
        if len(found.examples) < _EXAMPLES:
            found.examples.append(f"{path}:{name}")
    found.repositories = len(held)
    return found


def counts(project: Project, rules: Sequence[Rule]) -> tuple[list[int], bool]:
    """Count the tags that each of the rules would hold; and whether that may be too few."""
    found = [0] * len(rules)
    if not rules:
        return found, False
    tags = tags_for_people(Tag.objects.filter(repository__project=project))
    rows = tags.order_by().values_list("repository__path", "name")
    for seen, (path, name) in enumerate(rows.iterator()):
        if seen * len(rules) > _LOOKED_AT:
            return found, True
        for position, rule in enumerate(rules):
            found[position] += rule.holds(path, name)
    return found, False
