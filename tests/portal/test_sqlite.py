"""SQLite's writers take turns, over all threads and processes."""

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import Configuration
from portal.sqlite.base import DatabaseWrapper, Turn

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="of SQLite alone"),
]

# Another process: it says a line once it has written, and begins again at once.
GREEDY = """
import sqlite3, sys, time
from portal.sqlite.base import Turn
turn, rows = Turn(sys.argv[1]), sqlite3.connect(sys.argv[1], isolation_level=None)
for count in range(10_000):
    turn.take(20)
    rows.execute("BEGIN IMMEDIATE")
    rows.execute("UPDATE accounts_configuration SET value = ? WHERE key = 'k'", (str(count),))
    time.sleep(0.02)
    rows.execute("COMMIT")
    turn.give()
    print(count, flush=True)
"""
HOLDING = """
import sys, time
from portal.sqlite.base import Turn
Turn(sys.argv[1]).take(20)
print("held", flush=True)
time.sleep(600)
"""
# The place in the queue is free now and then.
NEXT = """
import sys, time
from portal.sqlite.base import _NEXT, Turn
Turn(sys.argv[1])._lock(_NEXT, time.monotonic() + 2)
"""


def name() -> str:
    """Path of the test's database."""
    return str(connection.settings_dict["NAME"])


@contextmanager
def other_process(program: str) -> Iterator["subprocess.Popen[str]"]:
    """Run one that has said its first line; kill it at the end."""
    with subprocess.Popen(
        [sys.executable, "-c", program, name()], stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        try:
            yield running
        finally:
            running.kill()


def written() -> int:
    """How often the greedy process has written."""
    return int(str(Configuration.objects.values_list("value", flat=True).get(key="k")))


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait so long for a turn."""
    options = connection.settings_dict["OPTIONS"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(options, "timeout", seconds)
        yield


def test_one_that_writes_without_pause_keeps_nobody_waiting() -> None:
    Configuration.objects.create(key="k", value=0)
    with other_process(GREEDY):
        for _time in range(5):
            before = written()
            with transaction.atomic():
                # The one under way, the one that had begun to wait, and what came while we read.
                assert written() - before <= 3


@pytest.mark.parametrize(
    ("courtesy", "is_queued"), [(20.0, False), (0.0, True)], ids=["worker", "gateway"]
)
def test_a_worker_waits_without_a_place_in_the_queue(courtesy: float, *, is_queued: bool) -> None:
    turn = Turn(name())

    def write() -> None:
        turn.take(20, courtesy=courtesy)
        turn.give()

    with other_process(HOLDING) as running:
        waiting = threading.Thread(target=write)
        waiting.start()
        assert runs(NEXT) is not is_queued
        running.kill()
        waiting.join(timeout=20)
    assert not waiting.is_alive()


def test_a_worker_takes_its_place_in_the_end() -> None:
    Configuration.objects.create(key="k", value=0)
    with pytest.MonkeyPatch.context() as patch, other_process(GREEDY):
        patch.setattr(DatabaseWrapper, "courtesy", 0.1)
        with transaction.atomic():
            assert written() > 0


def test_a_process_killed_while_it_writes_leaves_its_turn() -> None:
    with other_process(HOLDING) as running:
        with patience(0.05), pytest.raises(OperationalError, match="locked"), transaction.atomic():
            pass
        running.kill()
        running.wait()
        with transaction.atomic():
            Configuration.objects.create(key="k", value=1)
    assert written() == 1


@pytest.mark.parametrize("is_kept", [True, False], ids=["committed", "rolled back"])
def test_a_turn_ends_with_its_transaction(*, is_kept: bool) -> None:
    with transaction.atomic():
        Configuration.objects.create(key="k", value=1)
        transaction.set_rollback(not is_kept)
    assert takes_a_turn()


def test_a_turn_ends_with_its_connection() -> None:
    def leave() -> None:
        transaction.Atomic(None, savepoint=False, durable=False).__enter__()
        connection.close()

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert takes_a_turn()


def test_a_transaction_that_cannot_begin_gives_its_turn_back() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(name(), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError), transaction.atomic():
        pass
    other.close()
    connection.close()
    assert takes_a_turn()


def test_without_room_for_the_turn_it_is_an_error_of_the_database() -> None:
    with pytest.raises(sqlite3.OperationalError, match="cannot open /nowhere/at/all-turn: No such"):
        Turn("/nowhere/at/all")


def takes_a_turn() -> bool:
    """Whether another process can write by now."""
    return runs("import sys\nfrom portal.sqlite.base import Turn\nTurn(sys.argv[1]).take(5)")


def runs(program: str) -> bool:
    """Whether a process comes to its end without an error."""
    done = subprocess.run([sys.executable, "-c", program, name()], check=False, timeout=30)
    return done.returncode == 0


def test_threads_of_one_process_take_turns_too() -> None:
    turn = Turn(name())
    turn.take(1)

    def write() -> None:
        turn.take(20)
        turn.give()

    waiting = threading.Thread(target=write)
    waiting.start()
    with pytest.raises(sqlite3.OperationalError):
        turn.take(0.02)
    turn.give()
    waiting.join(timeout=20)
    assert not waiting.is_alive()
