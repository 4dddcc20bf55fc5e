"""Making projects that another registry fills, and changing within which bounds."""

from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import access, audit, outbox, projects
from accounts.errors import BadRequest, Conflict
from accounts.models import Project
from accounts.principals import Actor
from registry_sync import retention_policies, selectors
from registry_sync.models import ProxyCache, RemoteRegistry
from registry_sync.retention_policies import Terms
from registry_sync.selectors import PatternError, Selector

# An image that nobody pulled for so long goes; the policy is the project's, to change or delete.
EXPIRY_DAYS = 7
_EXPIRY_CRON = "0 23 4 * * *"
_MAX_SPEED = 2**31 - 1
_MAX_CONNECTIONS = 1000


@dataclass(frozen=True, slots=True)
class Changes:
    """What of the bounds is to be changed; ``None`` leaves it as it is."""

    # KiB a second; 0: no limit.
    speed_limit: int | None = None
    # 0: no limit.
    max_connections: int | None = None
    pattern: str | None = None
    serves_removed: bool | None = None
    asks_referrers: bool | None = None


def create(
    *,
    name: str,
    remote_id: int,
    is_public: bool = False,
    storage_limit: int | None = None,
    bounds: Changes = Changes(),
    expiry_days: int = EXPIRY_DAYS,
    actor: Actor,
) -> Project:
    """Make a project that is filled from another registry as things are pulled.

    What nobody pulled for ``expiry_days`` is removed by a retention policy; 0 for none. What is
    removed does not lie in the trash: the upstream has it. Raises ``BadRequest`` (with ``field``),
    ``Conflict`` for a name that is taken, ``Denied`` for who may not know the other registries.
    """
    access.require_system(actor.principal, "registry:read")
    remote = RemoteRegistry.objects.filter(pk=remote_id).first()
    if remote is None:
        raise BadRequest(_("There is no such registry."), field="registry_id")
    if not 0 <= expiry_days <= retention_policies.MAX_DAYS:
        message = _("Days are a number from 0 to %(max)d.") % {"max": retention_policies.MAX_DAYS}
        raise BadRequest(message, field="expiry_days")
    _require_sound(bounds)
    with transaction.atomic():
        project = projects.create(
            name=name, is_public=is_public, storage_limit=storage_limit, is_proxy=True, actor=actor
        )
        cache = ProxyCache(project=project, remote=remote)
        facts = _apply(cache, bounds)
        cache.save(force_insert=True)
        detail = {"registry": remote.name, **facts}
        audit.record(actor, "create_proxy_cache", project.name, project=project, detail=detail)
        if expiry_days:
            _expire(project, expiry_days, actor)
    return project


def _expire(project: Project, days: int, actor: Actor) -> None:
    # What was fetched and not pulled yet counts from its fetching.
    rules = [
        {"template": template, "params": {template: days}}
        for template in ("nDaysSinceLastPull", "nDaysSinceLastPush")
    ]
    terms = Terms(rules, cron=_EXPIRY_CRON, is_harbor=True)
    policy = retention_policies.create(project, terms=terms, actor=actor)
    # There is nothing to preview yet, and what goes comes back when it is pulled.
    retention_policies.confirm(
        policy, version=policy.version, percent=100, empties=True, actor=actor
    )


def of(project: Project) -> ProxyCache | None:
    """Return what fills the project, with the other registry; None for a project of one's own."""
    if not project.is_proxy:
        return None
    return ProxyCache.objects.select_related("remote").filter(project=project).first()


@transaction.atomic
def update(project: Project, *, changes: Changes, actor: Actor) -> ProxyCache:
    """Change the bounds. Raises ``BadRequest`` (with ``field``), ``Conflict`` where there are none.

    The other registry stays: what is here came from it.
    """
    _require_sound(changes)
    rows = ProxyCache.objects.select_for_update(of=("self",), no_key=True)
    cache = rows.filter(project=project).first()
    if cache is None:
        raise Conflict(_("The project is not filled from another registry."))
    facts = _apply(cache, changes)
    if facts:
        cache.save(update_fields=[*facts, "updated_at"])
        audit.record(actor, "update_proxy_cache", project.name, project=project, detail=facts)
        outbox.emit("proxy_cache.changed", f"project:{project.pk}", project=project.name, **facts)
    return cache


def _apply(cache: ProxyCache, changes: Changes) -> dict[str, object]:
    facts: dict[str, object] = {}
    for name in Changes.__slots__:
        wanted = getattr(changes, name)
        if wanted is not None and wanted != getattr(cache, name):
            setattr(cache, name, wanted)
            facts[name] = wanted
    return facts


def _require_sound(changes: Changes) -> None:
    if not 0 <= (changes.speed_limit or 0) <= _MAX_SPEED:
        message = _("The speed is a number of KiB a second; 0 for no limit.")
        raise BadRequest(message, field="proxy_speed_kb")
    if not 0 <= (changes.max_connections or 0) <= _MAX_CONNECTIONS:
        message = _("Connections are a number from 0 (no limit) to %(max)d.")
        raise BadRequest(message % {"max": _MAX_CONNECTIONS}, field="max_upstream_conn")
    if changes.pattern:
        if len(changes.pattern) > 512:
            raise BadRequest(_("The pattern is too long."), field="proxy_cache_filter_pattern")
        try:
            selectors.check(changes.pattern)
        except PatternError as error:
            raise BadRequest(str(error), field="proxy_cache_filter_pattern") from error


def admits(pattern: str, path: str) -> bool:
    """Return whether a repository, by its path below the project, is one that it is filled with."""
    return not pattern or Selector(pattern).compiled()(path)
