"""Claiming a row for a while, on either database: by conditional UPDATE, with a fencing token.

Each claim raises the row's ``fencing_token``. Who was stopped for longer than the lease and then
goes on holds an old token, and every write that names it changes nothing.
"""

import datetime
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import F

M = TypeVar("M", bound=models.Model)


class LeaseLostError(Exception):
    """Somebody else has the row now, or it is gone: what was begun must not be written."""


def claim(
    rows: "models.QuerySet[M]", pk: int, *, until: datetime.datetime, **more: Any
) -> M | None:
    """Take the row if it still is one of ``rows``; None where another was faster."""
    with transaction.atomic():
        changed = rows.filter(pk=pk).update(
            fencing_token=F("fencing_token") + 1, lease_until=until, **more
        )
        # Locked by the update until the end of the transaction: this is our token.
        return rows.model._default_manager.get(pk=pk) if changed else None


def renew(
    rows: "models.QuerySet[M]", pk: int, token: int, *, until: datetime.datetime, **more: Any
) -> None:
    """Prolong a lease. Raises ``LeaseLostError`` where it is not ours any more."""
    if not rows.filter(pk=pk, fencing_token=token).update(lease_until=until, **more):
        raise LeaseLostError


def hold(rows: "models.QuerySet[M]", pk: int, token: int) -> None:
    """Lock the row until the end of the caller's transaction, so that nobody can take it over.

    Raises ``LeaseLostError`` where it is not ours any more.
    """
    locked = rows.select_for_update(no_key=True).filter(pk=pk, fencing_token=token)
    if not locked.values_list("pk", flat=True).first():
        raise LeaseLostError
