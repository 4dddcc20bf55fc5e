"""Writes audit rows, in the transaction of the change they record."""

from typing import Any

from accounts import statements
from accounts.models import AuditEntry, Project
from accounts.principals import Actor
from accounts.statements import Statement


def record(
    actor: Actor,
    action: str,
    resource: str,
    *,
    project: Project | None = None,
    outcome: str = AuditEntry.Outcome.SUCCESS,
    detail: dict[str, Any] | None = None,
) -> None:
    """Add one entry; ``detail`` must hold no secret."""
    entry = recorded(actor, action, resource, project=project, outcome=outcome, detail=detail)
    statements.run(entry)


def recorded(
    actor: Actor,
    action: str,
    resource: str,
    *,
    project: Project | None = None,
    outcome: str = AuditEntry.Outcome.SUCCESS,
    detail: dict[str, Any] | None = None,
) -> Statement:
    """The statement of ``record``, to be run with others."""
    entry = AuditEntry(
        actor_kind=actor.principal.kind,
        actor_id=actor.principal.user_id,
        actor_name=actor.principal.name,
        address=actor.address,
        request_id=actor.request_id,
        action=action,
        resource=resource,
        project_id=project.pk if project else None,
        outcome=outcome,
        detail=detail or {},
    )
    return statements.insert([entry])
