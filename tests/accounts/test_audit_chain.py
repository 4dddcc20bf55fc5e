"""The audit's seal: what is changed, removed or slipped in afterwards is found."""

import io
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts import audit, audit_chain
from accounts.models import AuditChain, AuditEntry, Project
from accounts.principals import SYSTEM_ACTOR

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys(tmp_path: Path, settings: Any) -> Path:
    settings.MOORAGE_KEYS = tmp_path / "keys"
    return tmp_path / "keys"


def write(count: int) -> list[AuditEntry]:
    for number in range(count):
        audit.record(SYSTEM_ACTOR, "create_project", f"p{number}", detail={"b": 1.5, "a": ["é"]})
    return list(AuditEntry.objects.order_by("id"))


def test_all_that_is_committed_is_chained_and_holds(keys: Path) -> None:
    write(7)
    assert audit_chain.seal(keys) == 7
    assert audit_chain.seal(keys) == 0
    write(2)
    found = audit_chain.verify(keys)
    assert (found.is_intact, found.checked, found.unsealed) == (True, 7, 2)
    audit_chain.seal(keys)
    assert audit_chain.verify(keys).checked == 9


def test_more_than_a_batch(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_chain, "SEALED", 3)
    monkeypatch.setattr(audit_chain, "BATCH", 3)
    write(10)
    assert audit_chain.seal(keys) == 10
    assert audit_chain.verify(keys).checked == 10
    assert audit_chain.verify(keys).is_intact


def test_a_late_commit_with_a_lower_id_is_sealed_after_its_neighbours(keys: Path) -> None:
    entries = write(3)
    late = entries[1]
    late.delete()
    audit_chain.seal(keys)
    late.pk, late.sequence = entries[0].pk + 1, None
    late.save(force_insert=True)
    assert audit_chain.seal(keys) == 1
    assert AuditEntry.objects.get(pk=late.pk).sequence == 3
    assert audit_chain.verify(keys).is_intact


@pytest.mark.parametrize(
    "change",
    [
        {"actor_name": "somebody else"},
        {"outcome": "denied"},
        {"detail": {}},
        {"resource": "other"},
        {"address": "192.0.2.1"},
        {"seal": "0" * 64},
    ],
)
def test_a_changed_entry_is_named(keys: Path, change: dict[str, Any]) -> None:
    entries = write(5)
    audit_chain.seal(keys)
    AuditEntry.objects.filter(pk=entries[2].pk).update(**change)
    found = audit_chain.verify(keys)
    assert not found.is_intact
    assert found.first_broken == entries[2].pk


def test_removed_entries_are_gaps(keys: Path) -> None:
    entries = write(6)
    audit_chain.seal(keys)
    AuditEntry.objects.filter(pk__in=[entries[1].pk, entries[2].pk]).delete()
    found = audit_chain.verify(keys)
    assert (found.gaps, found.first_broken) == ([(2, 3)], None)
    assert not found.is_intact


@pytest.mark.parametrize("chosen", [[0], [1, 2], [0, 2, 4], [4, 5], [0, 1, 2, 3, 4, 5]])
def test_what_is_removed_on_purpose_is_no_gap(keys: Path, chosen: list[int]) -> None:
    entries = write(6)
    audit_chain.seal(keys)
    ids = [entries[number].pk for number in chosen]
    assert audit_chain.remove(ids, actor=SYSTEM_ACTOR) == len(ids)
    audit_chain.seal(keys)
    found = audit_chain.verify(keys)
    assert found.is_intact, found
    assert (found.checked, found.removed) == (7 - len(ids), len(ids))
    # Again, next to the first ones, and never the entry that tells of them.
    every = list(AuditEntry.objects.values_list("pk", flat=True))
    audit_chain.remove(every, actor=SYSTEM_ACTOR)
    audit_chain.seal(keys)
    assert audit_chain.verify(keys).is_intact
    AuditEntry.objects.filter(action=audit_chain.REMOVAL).first().delete()  # type: ignore[union-attr]
    assert not audit_chain.verify(keys).is_intact


def test_a_change_beside_a_removal_is_found(keys: Path) -> None:
    entries = write(6)
    audit_chain.seal(keys)
    audit_chain.remove([entries[2].pk], actor=SYSTEM_ACTOR)
    AuditEntry.objects.filter(pk=entries[3].pk).update(resource="other")
    audit_chain.seal(keys)
    assert audit_chain.verify(keys).first_broken == entries[3].pk


def test_a_removed_end_is_a_gap_also_where_the_chain_is_shortened(keys: Path) -> None:
    entries = write(4)
    audit_chain.seal(keys)
    AuditEntry.objects.filter(pk=entries[3].pk).delete()
    assert audit_chain.verify(keys).gaps == [(4, 4)]
    entries[2].refresh_from_db()
    AuditChain.objects.update(sequence=3, seal=entries[2].seal)
    found = audit_chain.verify(keys)
    assert not found.is_end_signed
    assert not found.is_intact


def test_what_is_slipped_in_after_the_end_is_found(keys: Path) -> None:
    write(2)
    audit_chain.seal(keys)
    (*_, last) = write(1)
    AuditEntry.objects.filter(pk=last.pk).update(sequence=3, seal="0" * 64)
    assert audit_chain.verify(keys).first_broken == last.pk


def test_a_lost_key_is_not_replaced(keys: Path) -> None:
    write(1)
    audit_chain.seal(keys)
    (keys / "audit-key").unlink()
    write(1)
    with pytest.raises(FileNotFoundError):
        audit_chain.seal(keys)
    with pytest.raises(CommandError, match="audit-key"):
        call_command("verify_audit")


def test_the_key_is_nobody_elses(keys: Path) -> None:
    write(1)
    audit_chain.seal(keys)
    assert (keys / "audit-key").stat().st_mode & 0o777 == 0o600


def test_the_command_reports_and_fails(keys: Path, team: Project) -> None:
    audit_chain.seal(keys)
    out = io.StringIO()
    call_command("verify_audit", json=True, stdout=out)
    assert json.loads(out.getvalue())["intact"] is True
    AuditEntry.objects.filter(action="create_project").first().delete()  # type: ignore[union-attr]
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", stdout=out)
    assert "REMOVED" in out.getvalue()


def test_an_empty_audit_is_intact(keys: Path) -> None:
    assert audit_chain.seal(keys) == 0
    assert audit_chain.verify(keys).is_intact


@pytest.mark.django_db(transaction=True)
def test_two_sealers_and_many_writers_make_one_chain(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_chain, "SEALED", 5)
    start = threading.Barrier(6)

    def work(number: int) -> None:
        start.wait()
        try:
            for _ in range(10):
                if number < 2:
                    audit_chain.seal(keys)
                else:
                    write(1)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit_chain.seal(keys)
    found = audit_chain.verify(keys)
    assert (found.is_intact, found.checked, found.unsealed) == (True, 40, 0)
