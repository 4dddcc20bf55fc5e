"""The Celery application, whose worker says that it lives and may run the scheduler (beat)."""

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Service
from django.db import DatabaseError, connection
from kombu.transport import TRANSPORT_ALIASES

from portal.sqlite.base import DatabaseWrapper as Sqlite

TRANSPORT_ALIASES["filesystem"] = "portal.broker:Transport"
_PULSE_SECONDS = 10
# So long a worker lets pushes and pages write first, where SQLite is the database.
_COURTESY_SECONDS = 0.25

logger = logging.getLogger(__name__)


class BeatThread(threading.Thread):
    """The scheduler, living and dying with its worker: no process is left to outlive it."""

    def __init__(self, application: Celery) -> None:
        """Prepare; nothing runs yet."""
        super().__init__(name="beat", daemon=True)
        self.service = Service(application)

    def run(self) -> None:
        """Schedule until stopped; without a scheduler the worker is not worth keeping."""
        try:
            self.service.start()
        except Exception:
            logger.exception("The scheduler failed; the worker ends with it.")
            os.kill(os.getpid(), signal.SIGTERM)


class Beat(bootsteps.StartStopStep):
    """Runs beat inside the worker where MOORAGE_BEAT is 1."""

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        """Decide whether this worker schedules."""
        super().__init__(parent, **kwargs)
        self.enabled = os.environ.get("MOORAGE_BEAT") == "1"
        self.thread: BeatThread | None = None

    def start(self, parent: Any) -> None:
        """Start scheduling."""
        self.thread = BeatThread(parent.app)
        self.thread.start()
        # The first sign of life, without waiting for the schedule.
        parent.app.send_task("registry_sync.tasks.heartbeat")

    def stop(self, parent: Any) -> None:
        """Stop scheduling before the worker waits for its tasks."""
        if self.thread is not None:
            self.thread.service.stop()
            self.thread = None


class Pulse(bootsteps.StartStopStep):
    """Names the worker, and writes every few seconds that it lives."""

    # Started after the pool, and therefore stopped before it: the pool waits for its tasks.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        """Name the worker before its children are forked: they work in its name."""
        super().__init__(parent, **kwargs)
        self.ended = threading.Event()
        os.environ["MOORAGE_WORKER"] = f"{socket.gethostname()}:{os.getpid()}"
        os.environ["MOORAGE_WORKER_CONCURRENCY"] = str(parent.concurrency)
        Sqlite.courtesy = _COURTESY_SECONDS

    def start(self, parent: Any) -> None:
        """Start the thread that writes."""
        pool = parent.pool_cls.__module__.rpartition(".")[2]
        arguments = (pool, parent.concurrency, self.ended)
        threading.Thread(target=_beat, args=arguments, name="pulse", daemon=True).start()

    def stop(self, parent: Any) -> None:
        """Tell engines to give their tasks back, before the worker waits for them."""
        # Django's applications are loaded by now, not when this module is.
        from registry_sync import runs  # noqa: PLC0415

        runs.shutting_down.set()
        self.ended.set()


def _beat(pool: str, concurrency: int, ended: threading.Event) -> None:
    from registry_sync import queues  # noqa: PLC0415

    name = os.environ["MOORAGE_WORKER"]
    show = partial(queues.show_worker, name, pool=pool, concurrency=concurrency)
    _try(show)
    while not ended.wait(_PULSE_SECONDS):
        _try(show)
    _try(partial(queues.remove_worker, name))


def _try(write: Callable[[], None]) -> None:
    """Write; a database that is away is tried again later."""
    try:
        write()
    except DatabaseError:
        logger.warning("The worker cannot write that it lives.", exc_info=True)
    finally:
        # This thread sleeps for long.
        connection.close()


app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Pulse)
app.steps["worker"].add(Beat)
