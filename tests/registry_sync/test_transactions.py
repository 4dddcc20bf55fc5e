"""A transaction that the database ends for another one's sake is begun again."""

import sqlite3
import threading
import time

import pytest
from django.db import OperationalError, connection, transaction

from accounts.models import Configuration
from registry_sync import transactions

pytestmark = pytest.mark.django_db(transaction=True)


class PostgresError(Exception):
    """What psycopg2 raises, as far as it is looked at."""

    def __init__(self, pgcode: str) -> None:
        """``pgcode``: PostgreSQL's name of the failure."""
        super().__init__(pgcode)
        self.pgcode = pgcode


class SqliteError(Exception):
    """What sqlite3 raises, as far as it is looked at."""

    def __init__(self, code: int) -> None:
        """``code``: SQLite's number of the failure."""
        super().__init__(code)
        self.sqlite_errorcode = code


GAVE_WAY = [
    PostgresError("40P01"),
    PostgresError("40001"),
    SqliteError(sqlite3.SQLITE_BUSY),
    SqliteError(sqlite3.SQLITE_BUSY_SNAPSHOT),
    SqliteError(sqlite3.SQLITE_LOCKED),
]
FAILED = [PostgresError("55P03"), PostgresError("57P01"), SqliteError(sqlite3.SQLITE_FULL)]


class Work:
    """Writes a row, then fails as often as it is told to."""

    def __init__(self, cause: Exception, times: int) -> None:
        """``cause`` is what the driver raised."""
        self.cause = cause
        self.left = times
        self.tries = 0

    def __call__(self) -> str:
        """Do it."""
        self.tries += 1
        Configuration.objects.create(key="k", value=self.tries)
        if self.left:
            self.left -= 1
            raise OperationalError from self.cause
        return "done"


def values() -> list[object]:
    """What the work left behind."""
    return list(Configuration.objects.filter(key="k").values_list("value", flat=True))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transactions, "_PAUSE_SECONDS", 0)


@pytest.mark.parametrize("cause", GAVE_WAY, ids=str)
def test_the_whole_of_it_is_run_again(cause: Exception) -> None:
    work = Work(cause, 2)
    assert transactions.run(work) == "done"
    assert work.tries == 3
    # Nothing of the tries before is left.
    assert values() == [3]


def test_it_is_given_up_after_some_times() -> None:
    work = Work(PostgresError("40P01"), 100)
    with pytest.raises(OperationalError):
        transactions.run(work)
    assert work.tries == transactions.TRIES
    assert values() == []


@pytest.mark.parametrize("cause", FAILED, ids=str)
def test_what_another_time_would_not_help_is_not_tried_again(cause: Exception) -> None:
    work = Work(cause, 1)
    with pytest.raises(OperationalError):
        transactions.run(work)
    assert work.tries == 1
    assert values() == []


def test_a_part_of_a_larger_transaction_is_not_run_again_by_itself() -> None:
    work = Work(PostgresError("40P01"), 1)
    with pytest.raises(OperationalError), transaction.atomic():
        transactions.run(work)
    assert work.tries == 1


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
def test_two_that_wait_for_each_other_both_succeed() -> None:
    Configuration.objects.create(key="a", value=0)
    Configuration.objects.create(key="b", value=0)
    both_hold_one = threading.Barrier(2, timeout=10)
    tries: list[str] = []

    def change(*keys: str) -> None:
        def work() -> None:
            tries.append(keys[0])
            for number, key in enumerate(keys):
                row = Configuration.objects.select_for_update().get(key=key)
                row.value += 1
                row.save()
                if number == 0 and len(tries) <= 2:
                    both_hold_one.wait()

        try:
            transactions.run(work)
        finally:
            connection.close()

    threads = [threading.Thread(target=change, args=keys) for keys in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert dict(Configuration.objects.values_list("key", "value")) == {"a": 2, "b": 2}
    # At least one of them had to begin again.
    assert len(tries) >= 3


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has many writers")
def test_another_process_that_writes_is_waited_for() -> None:
    # It does not wait of itself, so that this is what run() does.
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    tries = []

    def count(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 2:
            other.execute("COMMIT")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", count)
        transactions.run(lambda: Configuration.objects.create(key="k", value=1))
    other.close()
    connection.close()
    assert len(tries) == 2
    assert values() == [1]
