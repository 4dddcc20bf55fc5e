"""Seals the audit: each committed entry gets a place in a chain that no change survives unseen.

Entries are inserted without a seal, so that nobody waits for anybody. Later one sealer at a time
takes what was committed meanwhile; the chain's order is the order of sealing, so an entry whose
transaction took long, and which therefore has a lower id than its neighbours, is not lost.
"""

import datetime
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import audit
from accounts.crypto import audit_key, ensure_audit_key, keyed_digest
from accounts.models import AuditChain, AuditEntry
from accounts.principals import Actor

BATCH = 500
# Sealed by one transaction: on SQLite a push waits for it.
SEALED = 100
# The entry that says which others were removed on purpose; it is never removed itself.
REMOVAL = "purge_audit_log"
# The report of a broken chain names so many gaps; one is enough to ask why.
_MAX_GAPS = 100


@dataclass(slots=True)
class Verification:
    """What a walk along the chain found; ``gaps`` are ranges of sequence numbers."""

    checked: int = 0
    removed: int = 0
    first_broken: int | None = None
    gaps: list[tuple[int, int]] = field(default_factory=list)
    is_end_signed: bool = True
    sequence: int = 0
    seal: str = ""
    unsealed: int = 0
    oldest_unsealed_at: datetime.datetime | None = None

    @property
    def is_intact(self) -> bool:
        """True where no entry was changed, removed or slipped in since it was sealed."""
        return self.first_broken is None and not self.gaps and self.is_end_signed


def seal(directory: Path) -> int:
    """Chain what was committed since the last time, in batches; return how many entries.

    Returns at once where another sealer is at work.
    """
    total = 0
    while count := _seal_batch(directory):
        total += count
        if count < SEALED:
            break
    return total


@transaction.atomic
def _seal_batch(directory: Path) -> int:
    AuditChain.objects.get_or_create(pk=AuditChain.ONLY)
    can_skip = connection.features.has_select_for_update_skip_locked
    end = AuditChain.objects.select_for_update(skip_locked=can_skip).filter(pk=AuditChain.ONLY)
    chain = end.first()
    if chain is None:
        return 0
    entries = list(AuditEntry.objects.filter(sequence=None).order_by("id")[:SEALED])
    if not entries:
        return 0
    # A key that vanished must not be replaced in silence: with it goes all proof of what was.
    key = audit_key(directory) if chain.sequence else ensure_audit_key(directory)
    for entry in entries:
        chain.sequence += 1
        chain.seal = _seal_of(key, chain.seal, chain.sequence, entry)
        entry.sequence, entry.seal = chain.sequence, chain.seal
    AuditEntry.objects.bulk_update(entries, ["sequence", "seal"], batch_size=100)
    chain.signature = _signature(key, chain)
    chain.sealed_at = timezone.now()
    chain.save()
    return len(entries)


@transaction.atomic
def remove(ids: Collection[int], *, actor: Actor) -> int:
    """Remove entries on purpose, and write down which, so that the chain can be followed past them.

    Returns how many. What was written down about earlier removals stays.
    """
    entries = AuditEntry.objects.filter(pk__in=ids).exclude(action=REMOVAL)
    # [first, last, seal of the last] of each run of numbers.
    runs: list[list[Any]] = []
    sealed = entries.exclude(sequence=None).order_by("sequence")
    for sequence, seal in sealed.values_list("sequence", "seal"):
        if runs and runs[-1][1] + 1 == sequence:
            runs[-1][1:] = [sequence, seal]
        else:
            runs.append([sequence, sequence, seal])
    count = entries.delete()[0]
    if count:
        audit.record(actor, REMOVAL, f"{count} entries", detail={"removed": runs})
    return count


def verify(directory: Path) -> Verification:
    """Walk along the whole chain; changes nothing. Raises ``OSError`` where the key is missing."""
    found = Verification()
    chain = AuditChain.objects.filter(pk=AuditChain.ONLY).first() or AuditChain()
    key = audit_key(directory) if chain.sequence or _sealed().exists() else b""
    removals = _removals()
    previous_seal = ""
    for entry in _walk(chain.sequence):
        sequence = entry.sequence or 0
        previous_seal = _past_removals(found, removals, sequence, previous_seal)
        if sequence != found.sequence + 1:
            _note_gap(found, sequence - 1)
        elif entry.seal != _seal_of(key, previous_seal, sequence, entry):
            found.first_broken = found.first_broken or entry.pk
        # After a gap or a break the stored seal is gone on from, so that the rest is checked too.
        found.sequence, previous_seal = sequence, entry.seal
        found.checked += 1
    previous_seal = _past_removals(found, removals, chain.sequence + 1, previous_seal)
    found.seal = previous_seal
    if found.sequence < chain.sequence:
        _note_gap(found, chain.sequence)
    if chain.sequence:
        found.is_end_signed = chain.signature == _signature(key, chain)
        found.is_end_signed &= found.sequence != chain.sequence or previous_seal == chain.seal
    beyond = _sealed().filter(sequence__gt=chain.sequence).order_by("sequence").first()
    if beyond is not None:
        found.first_broken = found.first_broken or beyond.pk
    tail = AuditEntry.objects.filter(sequence=None)
    found.unsealed = tail.count()
    found.oldest_unsealed_at = tail.order_by("id").values_list("at", flat=True).first()
    return found


def _removals() -> dict[int, tuple[int, str]]:
    """Return where each run of removed numbers ends, and the seal it ended with."""
    details = AuditEntry.objects.filter(action=REMOVAL).exclude(sequence=None)
    return {
        first: (last, seal)
        for detail in details.values_list("detail", flat=True)
        for first, last, seal in detail.get("removed", [])
    }


def _past_removals(
    found: Verification, removals: dict[int, tuple[int, str]], until: int, seal: str
) -> str:
    """Go on over what was removed on purpose; the entries that say so are in the chain too."""
    while found.sequence + 1 < until and (known := removals.get(found.sequence + 1)):
        found.removed += known[0] - found.sequence
        found.sequence, seal = known
    return seal


def _sealed() -> QuerySet[AuditEntry]:
    return AuditEntry.objects.exclude(sequence=None)


def _walk(until: int) -> Iterator[AuditEntry]:
    """Yield the sealed entries in their order, in pages: no long transaction, no long memory."""
    last = 0
    while True:
        page = list(
            AuditEntry.objects.filter(sequence__gt=last, sequence__lte=until).order_by("sequence")[
                :BATCH
            ]
        )
        yield from page
        if len(page) < BATCH:
            return
        last = page[-1].sequence or until


def _note_gap(found: Verification, until: int) -> None:
    if len(found.gaps) < _MAX_GAPS:
        found.gaps.append((found.sequence + 1, until))


def _seal_of(key: bytes, previous: str, sequence: int, entry: AuditEntry) -> str:
    content = {
        "id": entry.pk,
        "at": entry.at.astimezone(datetime.UTC).isoformat(),
        "actor": [entry.actor_kind, entry.actor_id, entry.actor_name],
        "address": entry.address,
        "request_id": entry.request_id,
        "action": entry.action,
        "resource": entry.resource,
        "project_id": entry.project_id,
        "outcome": entry.outcome,
        "detail": entry.detail,
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return keyed_digest(key, "entry", previous, str(sequence), canonical).hex()


def _signature(key: bytes, chain: AuditChain) -> str:
    return keyed_digest(key, "checkpoint", str(chain.sequence), chain.seal).hex()
