"""Writes outbox events, in the transaction of the change they announce."""

from typing import Any

from accounts.models import OutboxEvent


def emit(kind: str, subject: str, **payload: Any) -> None:
    """Add one event; events of one subject are delivered in the order of their making."""
    OutboxEvent.objects.create(kind=kind, subject=subject, payload=payload)
