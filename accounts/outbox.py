"""Writes outbox events, in the transaction of the change they announce."""

from typing import Any

from accounts import statements
from accounts.models import OutboxEvent
from accounts.statements import Statement


def emit(kind: str, subject: str, **payload: Any) -> None:
    """Add one event; events of one subject are delivered in the order of their making."""
    statements.run(emitted(kind, subject, **payload))


def emitted(kind: str, subject: str, **payload: Any) -> Statement:
    """The statement of ``emit``, to be run with others."""
    return statements.insert([OutboxEvent(kind=kind, subject=subject, payload=payload)])
