"""Start supervisor, wait until everything answers, watch it, and stop it without a trace left."""

import contextlib
import ctypes
import datetime
import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from django.db import connection as database
from django.utils import timezone

from portal.stack import programs
from portal.stack.checks import search_path
from portal.stack.errors import CannotStart
from portal.stack.home import Home
from portal.stack.launch import end_leftovers
from portal.stack.render import Site
from registry_sync.models import WorkerHeartbeat

_PATIENCE = 90.0
# A program that ended so often before all was ready will not come up by itself.
_TRIES = 3
_EXITED = re.compile(r" exited: ([a-z]+) ")
_GAVE_UP = re.compile(r" gave up: ([a-z]+) ")
_PR_SET_PDEATHSIG = 1
# Settings of the programs themselves: a stray one would change what we rendered.
_FOREIGN_PREFIXES = ("REGISTRY_", "GRANIAN_", "CELERY_", "SUPERVISOR_")
_FIRST_PASSWORD = ("MOORAGE_ADMIN_PASSWORD", "MOORAGE_ADMIN_PASSWORD_FILE")


def environment(home: Home, site: Site) -> dict[str, str]:
    """Return what the programs get: ours as it is, and where everything lies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_FOREIGN_PREFIXES) and name not in _FIRST_PASSWORD
    }
    root = Path(__file__).resolve().parent.parent.parent
    return kept | {
        "PATH": search_path(),
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
        "MOORAGE_HOME": str(home.root),
        "MOORAGE_STORAGE_ROOT": str(home.storage),
        "MOORAGE_BIND": site.bind,
        "MOORAGE_PORT": str(site.port),
        "MOORAGE_EXTERNAL_URL": site.external_url,
        "MOORAGE_REGISTRY_URL": f"http://127.0.0.1:{site.ports['registry']}",
    }


@dataclass(frozen=True, slots=True)
class _Sign:
    """What proves a program ready."""

    program: str
    is_seen: Callable[[], bool]


class Supervision:
    """A running supervisor, and what its log says about the programs."""

    def __init__(self, home: Home, site: Site, *, configuration: Path, lock: int) -> None:
        """Start it; it holds the home's lock as long as it lives."""
        self.home = home
        self.site = site
        self.exits: Counter[str] = Counter()
        self._log = home.logs / "supervisord.log"
        self._position = self._log.stat().st_size if self._log.exists() else 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(configuration)],
            env=environment(home, site),
            cwd=home.run,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(home.logs / "supervisord-error.log").open("ab"),
            pass_fds=[lock],
            # Ctrl-C reaches this process only, which then stops the rest in order.
            start_new_session=True,
            preexec_fn=_stop_with_parent,
        )

    def wait_until_ready(self) -> None:
        """Return once every program has shown that it works."""
        deadline = time.monotonic() + _PATIENCE
        signs = self._signs()
        while signs:
            if signs[0].is_seen():
                signs.pop(0)
                continue
            self.check()
            for name, times in self.exits.items():
                if times >= _TRIES:
                    raise CannotStart(f"{name} does not start; see {self.log_of(name)}")
            if time.monotonic() > deadline:
                silent = signs[0].program
                raise CannotStart(f"{silent} does not answer; see {self.log_of(silent)}")
            time.sleep(0.1)

    def check(self) -> None:
        """Read the news; raise where something cannot be saved by a restart."""
        for line in self._news():
            if match := _EXITED.search(line):
                self.exits[match[1]] += 1
            if match := _GAVE_UP.search(line):
                raise CannotStart(f"{match[1]} keeps failing; see {self.log_of(match[1])}")
        if self._process.poll() is not None:
            raise CannotStart(f"supervisor ended; see {self._log}")

    def stop(self) -> None:
        """Stop every program, and whatever they left behind."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for name in programs.NAMES:
            end_leftovers(self.home.run, name)

    def log_of(self, name: str) -> Path:
        """Return the file that tells what is wrong with a program."""
        own = self.home.logs / f"{name}-error.log"
        return own if own.exists() and own.stat().st_size else self.home.logs / f"{name}.log"

    def _news(self) -> Iterator[str]:
        if not self._log.exists():
            return
        if self._log.stat().st_size < self._position:
            self._position = 0  # It was rotated.
        with self._log.open("rb") as file:
            file.seek(self._position)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._position += len(line)
                yield line.decode(errors="replace")

    def _signs(self) -> list[_Sign]:
        """Return what must be seen before all is ready, the innermost first."""
        ports, named = self.site.ports, self.site.netloc
        public = _reachable(self.site.bind), self.site.port
        started = timezone.now()

        def answers(host: str, port: int, path: str, expected: int) -> Callable[[], bool]:
            return lambda: _status(host, port, path, named=named) == expected

        return [
            _Sign("registry", answers("127.0.0.1", ports["registry"], "/v2/", 401)),
            _Sign("web", answers("127.0.0.1", ports["web"], "/api/v2.0/ping", 200)),
            _Sign("gateway", answers("127.0.0.1", ports["gateway"], "/v2/", 401)),
            _Sign("nginx", answers(*public, "/api/v2.0/ping", 200)),
            _Sign("nginx", answers(*public, "/v2/", 401)),
            _Sign("worker", lambda: _has_beaten_since(started)),
        ]


def _stop_with_parent() -> None:
    """Let the kernel tell supervisor to stop when `manage.py up` is killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _reachable(bind: str) -> str:
    """Return the address under which this machine reaches a listener on ``bind``."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(bind, bind)  # noqa: S104


def _status(host: str, port: int, path: str, *, named: str) -> int:
    """Return the status of a GET, or 0 where nothing answers."""
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", path, headers={"Host": named})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _has_beaten_since(moment: datetime.datetime) -> bool:
    """Tell whether a worker has done what the scheduler asked."""
    try:
        return WorkerHeartbeat.objects.filter(beat_at__gte=moment).exists()
    finally:
        # This process has no more questions to it, perhaps for months.
        database.close()
