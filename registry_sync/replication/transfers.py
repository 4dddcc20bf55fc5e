"""Many blobs at once, counted and held to a speed, until the run is over."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

from registry_sync.runs import Run

_THREADS = 4
_LOOK_SECONDS = 0.2

_kept = threading.local()


class EndedError(Exception):
    """The run is over: threads that still send give up."""


class Meter:
    """Counts what is sent, and holds it to a speed; shared by a run's threads."""

    def __init__(self, kibibytes_a_second: int) -> None:
        """0: no limit."""
        self.sent = 0
        self.ended = threading.Event()
        self._speed = kibibytes_a_second * 1024
        self._lock = threading.Lock()
        self._begun = time.monotonic()

    def count(self, size: int) -> None:
        """Note bytes that go out; wait where they are too fast. Raises ``EndedError``."""
        with self._lock:
            self.sent += size
            due = self._begun + self.sent / self._speed if self._speed else 0.0
        if self.ended.wait(max(0.0, due - time.monotonic())):
            raise EndedError

    def counted(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the parts, each counted as it comes."""
        for part in parts:
            self.count(len(part))
            yield part

    def pause(self, seconds: float) -> None:
        """Wait for another registry's sake. Raises ``EndedError``."""
        if self.ended.wait(seconds):
            raise EndedError


def each(work: Callable[[str], None], digests: Sequence[str], *, meter: Meter, run: Run) -> None:
    """Do the work for each in threads, and look up meanwhile whether the run is to go on.

    The first error ends all of it; nothing goes on after that.
    """
    pool = _pool()
    begun = {pool.submit(work, digest) for digest in digests}
    waiting = begun
    try:
        while waiting:
            done, waiting = wait(waiting, _LOOK_SECONDS, FIRST_COMPLETED)
            for future in done:
                future.result()
            run.progress(done=meter.sent)
    except BaseException:
        meter.ended.set()
        for future in begun:
            future.cancel()
        wait(begun)
        raise


def _pool() -> ThreadPoolExecutor:
    """Return this thread's own threads, kept from one image to the next."""
    pool: ThreadPoolExecutor | None = getattr(_kept, "pool", None)
    if pool is None:
        pool = _kept.pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")
    return pool
