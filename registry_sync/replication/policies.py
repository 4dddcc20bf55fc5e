"""Policies of replication: made, changed, deleted; a scheduled one has a schedule of the engine."""

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.errors import BadRequest, Conflict, NotFound, PreconditionFailed
from accounts.principals import Actor
from accounts.scopes import NAME_PATTERN
from registry_sync import schedules
from registry_sync.adapters import ADAPTERS
from registry_sync.models import Execution, RemoteRegistry, Replica, ReplicationPolicy
from registry_sync.replication import filters
from registry_sync.texts import storable

KIND = "replication"
_MAX_SPEED = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Terms:
    """Everything that is chosen of a policy."""

    name: str
    remote: RemoteRegistry
    description: str = ""
    # Whether it copies from there to here.
    is_pull: bool = False
    filters: tuple[dict[str, Any], ...] = ()
    namespace: str = ""
    replaced_components: int = -1
    trigger: str = ReplicationPolicy.Trigger.MANUAL
    cron: str = ""
    is_enabled: bool = True
    is_overriding: bool = True
    # Whether deletions are copied too.
    is_deleting: bool = False
    is_chunked: bool = False
    # KiB a second; 0: no limit.
    speed_limit: int = 0


def create(terms: Terms, *, actor: Actor) -> ReplicationPolicy:
    """Make a policy. Raises ``BadRequest`` (with ``field``), ``Conflict`` for a taken name."""
    return _save(ReplicationPolicy(), terms, "create_replication_policy", actor)


def update(policy: ReplicationPolicy, terms: Terms, *, actor: Actor) -> ReplicationPolicy:
    """Change a policy; a run that goes on goes on as it began. Raises as ``create``."""
    return _save(policy, terms, "update_replication_policy", actor)


def draft(terms: Terms, kept: ReplicationPolicy | None = None) -> ReplicationPolicy:
    """Return what would be stored, for a look at what it would do. Raises ``BadRequest``.

    ``kept``: the policy that would be changed; it is not.
    """
    made = ReplicationPolicy(pk=kept.pk if kept else None)
    _fill(made, terms)
    return made


def _save(policy: ReplicationPolicy, terms: Terms, action: str, actor: Actor) -> ReplicationPolicy:
    _fill(policy, terms)
    try:
        with transaction.atomic():
            # What was put into another registry is not this policy's in this one.
            put = Replica.objects.filter(policy_id=policy.pk)
            put.exclude(policy__remote=policy.remote).delete()
            policy.save()
            _schedule(policy, actor)
            if not (policy.is_enabled and policy.trigger == ReplicationPolicy.Trigger.EVENT):
                policy.changes.all().delete()
            audit.record(actor, action, policy.name, detail={"registry": terms.remote.name})
    except IntegrityError as error:
        raise Conflict(_("A policy of this name exists."), field="name") from error
    return policy


def _fill(policy: ReplicationPolicy, terms: Terms) -> None:
    _check(terms)
    policy.name = storable(terms.name).strip()
    policy.description = storable(terms.description)
    policy.remote, policy.is_pull = terms.remote, terms.is_pull
    policy.filters = _filters(terms)
    policy.namespace = terms.namespace
    policy.replaced_components = terms.replaced_components
    policy.trigger = terms.trigger
    is_scheduled = terms.trigger == ReplicationPolicy.Trigger.SCHEDULED
    policy.cron = terms.cron if is_scheduled else ""
    policy.is_enabled, policy.is_overriding = terms.is_enabled, terms.is_overriding
    policy.is_deleting = terms.is_deleting
    policy.is_chunked, policy.speed_limit = terms.is_chunked, terms.speed_limit


def _filters(terms: Terms) -> list[dict[str, Any]]:
    found = filters.checked(terms.filters)
    has_labels = any(entry["type"] == "label" for entry in found)
    if terms.is_pull and has_labels and not ADAPTERS[terms.remote.kind].tells_labels:
        message = _("This kind of registry tells no labels; choose by name, tag and type.")
        raise BadRequest(message, field="filters")
    return found


def _check(terms: Terms) -> None:
    if not terms.name.strip() or len(terms.name) > 128:
        raise BadRequest(_("A name has 1 to 128 characters."), field="name")
    if len(terms.description) > 1024:
        raise BadRequest(_("A description has at most 1024 characters."), field="description")
    if terms.namespace and not NAME_PATTERN.fullmatch(terms.namespace):
        raise BadRequest(_("This cannot be a namespace."), field="dest_namespace")
    if not -1 <= terms.replaced_components <= 10:
        message = _("From none (0) to ten components are replaced, or all (-1).")
        raise BadRequest(message, field="dest_namespace_replace_count")
    _check_trigger(terms)
    if not 0 <= terms.speed_limit <= _MAX_SPEED:
        raise BadRequest(_("A speed is in KiB a second, 0 for no limit."), field="speed")


def _check_trigger(terms: Terms) -> None:
    if terms.trigger not in ReplicationPolicy.Trigger.values:
        message = _("A policy runs by hand, by schedule or at each push.")
        raise BadRequest(message, field="trigger")
    if terms.is_pull and terms.trigger == ReplicationPolicy.Trigger.EVENT:
        message = _("Of pushes to another registry we do not hear; choose a schedule.")
        raise BadRequest(message, field="trigger")
    if terms.is_deleting and terms.trigger != ReplicationPolicy.Trigger.EVENT:
        message = _("Deletions are copied by policies that run at each push.")
        raise BadRequest(message, field="replicate_deletion")
    if terms.trigger == ReplicationPolicy.Trigger.SCHEDULED and not terms.cron:
        raise BadRequest(_("Say when it runs."), field="cron")


def _schedule(policy: ReplicationPolicy, actor: Actor) -> None:
    if policy.trigger == ReplicationPolicy.Trigger.SCHEDULED and policy.is_enabled:
        schedules.put(KIND, cron=policy.cron, policy_id=policy.pk, actor=actor)
    else:
        schedules.remove(KIND, policy_id=policy.pk, actor=actor)


@transaction.atomic
def remove(policy: ReplicationPolicy, *, actor: Actor) -> None:
    """Delete a policy; what it copied stays. Raises ``PreconditionFailed`` while it runs."""
    if Execution.objects.active().filter(kind=KIND, policy_id=policy.pk).exists():
        raise PreconditionFailed(_("The policy is running; stop that first."))
    schedules.remove(KIND, policy_id=policy.pk, actor=actor)
    if not ReplicationPolicy.objects.filter(pk=policy.pk).delete()[0]:
        raise NotFound(_("policy not found"))
    audit.record(actor, "delete_replication_policy", policy.name)
