"""The Celery application, whose worker also runs the scheduler (beat) in a thread."""

import logging
import os
import signal
import threading
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Service

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


app = Celery("portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(Beat)
