"""Django's SQLite backend; a transaction waits for its turn before it begins.

SQLite has one writer, and whoever finds it busy asks again after up to 100 ms. A process that
writes again and again is seldom found idle by that, and a push waits for seconds meanwhile. So
each transaction takes two locks first. The one is held by whoever is next, so that one who just
wrote cannot come between; the other by who writes. Both end with their process, however it ends.
Workers are courteous: for a while they write only where nobody else wants to.
"""

import fcntl
import os
import sqlite3
import threading
import time
from pathlib import Path

from django.db.backends.sqlite3 import base

_POLL_SECONDS = 0.001
_COURTEOUS_POLL_SECONDS = 0.002
_NEXT, _NOW = 0, 1


class Turn:
    """The right to write to one database, for the threads of this process."""

    def __init__(self, database: str) -> None:
        """``database``: path of its file, which is there; the locks are bytes of one beside it.

        Raises ``sqlite3.OperationalError`` where that one cannot be made.
        """
        # Never closed: closing any descriptor of a file ends all locks a process has on it.
        self._file = _opened(f"{database}-turn", like=database)
        # Threads queue here and are woken; one at a time asks the kernel.
        self._thread = threading.Lock()

    def take(self, seconds: float, *, courtesy: float = 0) -> None:
        """Wait for it so long, the first ``courtesy`` seconds without a place in the queue.

        Raises ``sqlite3.OperationalError`` in vain, as SQLite does.
        """
        begun = time.monotonic()
        until = begun + seconds
        if not self._thread.acquire(timeout=seconds):
            raise _busy()
        try:
            while time.monotonic() < begun + courtesy:
                if self._is_free():
                    return
                time.sleep(_COURTEOUS_POLL_SECONDS)
            self._lock(_NEXT, until)
            try:
                self._lock(_NOW, until)
            finally:
                self._unlock(_NEXT)
        except BaseException:
            self._thread.release()
            raise

    def give(self) -> None:
        """Let the next one write."""
        self._unlock(_NOW)
        self._thread.release()

    def _is_free(self) -> bool:
        """Take it, if nobody writes and nobody is next."""
        if not self._tried(_NEXT):
            return False
        try:
            return self._tried(_NOW)
        finally:
            self._unlock(_NEXT)

    def _lock(self, byte: int, until: float) -> None:
        while not self._tried(byte):
            if time.monotonic() > until:
                raise _busy()
            time.sleep(_POLL_SECONDS)

    def _tried(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
        except BlockingIOError:
            return False
        return True

    def _unlock(self, byte: int) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection whose transactions take turns with those of all processes here."""

    # Seconds for which this process lets others write first.
    courtesy = 0.0
    _turns: dict[str, Turn] = {}
    _has_turn = False

    def _start_transaction_under_autocommit(self) -> None:
        if not self.is_in_memory_db():
            with self.wrap_database_errors:
                patience = self.settings_dict["OPTIONS"]["timeout"]
                self._turn().take(patience, courtesy=self.courtesy)
            self._has_turn = True
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc] # not in its stubs
        except BaseException:
            self._give_turn()
            raise

    def commit(self) -> None:
        """Commit; the turn of one that fails ends as it is rolled back."""
        super().commit()
        self._give_turn()

    def rollback(self) -> None:
        """Roll back, and let the next one write."""
        try:
            super().rollback()
        finally:
            self._give_turn()

    def close(self) -> None:
        """Close the connection, and end its turn."""
        try:
            super().close()
        finally:
            self._give_turn()

    def _turn(self) -> Turn:
        name = str(self.settings_dict["NAME"])
        # Two threads may both make one: the first one's is kept.
        return self._turns.get(name) or self._turns.setdefault(name, Turn(name))

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            self._turn().give()


def _opened(path: str, *, like: str) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # As SQLite does with its own: what root does by hand must not lock the service out.
        if os.geteuid() == 0:
            owner = Path(like).stat()
            os.fchown(file, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise sqlite3.OperationalError(f"cannot open {path}: {error.strerror}") from error
    return file


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error
