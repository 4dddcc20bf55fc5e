"""What an engine holds of its task: parameters, progress, log, and whether it may go on."""

import datetime
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from registry_sync import leases
from registry_sync.leases import LeaseLostError
from registry_sync.models import State, Task, TaskLog
from registry_sync.models.executions import HELD
from registry_sync.texts import storable

logger = logging.getLogger(__name__)

LOG_LIMIT = 1024 * 1024
# Progress and log reach the database at most so often.
_FLUSH_SECONDS = 1.0
_FLUSH_SIZE = 64 * 1024
# Set when the worker is told to end: engines give their tasks back at the next look.
shutting_down = threading.Event()


class StopRequestedError(Exception):
    """Somebody stopped the execution."""


class WorkerEndsError(Exception):
    """The worker is told to end; the task goes back to the queue."""


class Run:
    """One attempt at one task, for one engine in one thread.

    Long loops call ``check``; a transaction that changes anything begins with ``hold``.
    """

    def __init__(self, task: Task) -> None:
        """``task`` was just claimed."""
        self.task = task
        self.parameters: dict[str, Any] = {**task.execution.parameters, **task.parameters}
        self.is_lost = threading.Event()
        self._lines: list[str] = []
        self._size = 0
        self._flushed = time.monotonic()
        self._is_stopping = False
        self._changed: set[str] = set()
        self._notes: list[Callable[[], None]] = []

    # --- For engines ------------------------------------------------------------------------------

    def check(self) -> None:
        """Go on, or raise what ends this run; writes progress and log where they are due."""
        if self.is_lost.is_set():
            raise LeaseLostError
        if time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self.flush()
        if self._is_stopping:
            raise StopRequestedError
        if shutting_down.is_set():
            raise WorkerEndsError

    def hold(self) -> None:
        """Keep the task ours until the end of the caller's transaction, or raise."""
        leases.hold(self._rows(), self.task.pk, self.task.fencing_token)

    def progress(
        self,
        *,
        done: int | None = None,
        total: int | None = None,
        unit: str | None = None,
        message: str | None = None,
    ) -> None:
        """Say how far it is, and check."""
        given = {"done": done, "total": total, "unit": unit, "message": message}
        for name, value in given.items():
            if value is not None:
                setattr(
                    self.task, name, storable(value)[:1024] if isinstance(value, str) else value
                )
                self._changed.add(name)
        self.check()

    def result(self, **facts: Any) -> None:
        """Note what came out, for pages and programs."""
        self.task.result = {**self.task.result, **facts}
        self._changed.add("result")

    def log(self, line: str) -> None:
        """Write a line; it must hold no secret."""
        if self.task.log_size >= LOG_LIMIT:
            return
        text = f"{timezone.now():%Y-%m-%dT%H:%M:%SZ} {storable(line)}\n"
        self.task.log_size += len(text.encode())
        if self.task.log_size >= LOG_LIMIT:
            text += "The log is full; what follows is not kept.\n"
        self._lines.append(text)
        self._size += len(text)
        if self._size >= _FLUSH_SIZE:
            self.flush()

    def note(self, write: Callable[[], None]) -> None:
        """Have something written together with the next progress; it may be written twice.

        Where this attempt loses its task before, it is not: the next one does the same.
        """
        self._notes.append(write)

    # --- For the door -----------------------------------------------------------------------------

    def flush(self) -> None:
        """Write progress and log, and read whether to stop. Raises ``LeaseLostError``."""
        self._flushed = time.monotonic()
        changes = {name: getattr(self.task, name) for name in self._changed}
        with transaction.atomic():
            rows = self._rows().filter(pk=self.task.pk, fencing_token=self.task.fencing_token)
            if not rows.update(log_size=self.task.log_size, heartbeat_at=timezone.now(), **changes):
                raise LeaseLostError
            for write in self._notes:
                write()
            if self._lines:
                TaskLog.objects.create(task_id=self.task.pk, text="".join(self._lines))
            self._is_stopping = rows.filter(state=State.STOPPING).exists()
        self._notes.clear()
        self._lines.clear()
        self._size = 0
        self._changed.clear()

    @contextmanager
    def kept(self, *, hours: float) -> Iterator[None]:
        """Renew the lease in a thread while the engine runs, for so many hours at most."""
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(ended, hours), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()

    def _keep(self, ended: threading.Event, hours: float) -> None:
        deadline = time.monotonic() + hours * 3600
        seconds = settings.MOORAGE_JOB_LEASE
        try:
            while not ended.wait(seconds / 3) and time.monotonic() < deadline:
                self._renew(datetime.timedelta(seconds=seconds))
        except LeaseLostError:
            self.is_lost.set()

    def _renew(self, lease: datetime.timedelta) -> None:
        now = timezone.now()
        try:
            leases.renew(
                self._rows(),
                self.task.pk,
                self.task.fencing_token,
                until=now + lease,
                heartbeat_at=now,
            )
        except DatabaseError:
            logger.warning("Task %s: the lease could not be renewed.", self.task.pk, exc_info=True)
        finally:
            # This thread sleeps for long.
            connection.close()

    @staticmethod
    def _rows() -> Any:
        return Task.objects.filter(state__in=HELD)
