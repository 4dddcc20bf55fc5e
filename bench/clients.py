"""A filled Moorage at work: clients that push and pull, timed, and what disturbs them."""

import itertools
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from bench.harness import WrongAnswerError, moorage
from bench.images import manifest_of, push_blob, session_of
from portal.demo.images import MANIFEST
from tests.live.stack import ROOT, Stack, environment

API = "/api/v2.0"
REPOSITORY = "library/clients"
_CONFIG = b'{"architecture":"amd64","os":"linux"}'


@dataclass
class Times:
    """Seconds of every push and every pull, and of every single request of a push."""

    pushes: list[float] = field(default_factory=list)
    requests: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)

    @staticmethod
    def percentile(values: list[float], part: float) -> float:
        """Return the value, in ms, below which so great a part lies."""
        return sorted(values)[min(len(values) - 1, int(len(values) * part))] * 1e3

    @staticmethod
    def median(values: list[float]) -> float:
        """Return the median in ms."""
        return statistics.median(values) * 1e3


@contextmanager
def filled(images: int, **settings: str) -> Iterator[tuple[Stack, int]]:
    """Start a Moorage with ``bench.store`` in it; yield it with its retention policy's number."""
    with moorage(**settings) as stack:
        variables = environment(stack.home, stack.port, **stack.settings)
        done = subprocess.run(
            [sys.executable, "-m", "bench.store", str(images)],
            cwd=ROOT,
            env=variables,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        yield stack, int(done.stdout.split()[-1])


class Clients:
    """So many that push small images of a new layer each, and so many that pull one image."""

    def __init__(self, stack: Stack, *, pushing: int, pulling: int) -> None:
        """Nothing is sent yet."""
        self._stack, self._pushing, self._pulling = stack, pushing, pulling
        self._token = stack.token(f"repository:{REPOSITORY}:pull,push")
        self._numbers = itertools.count()
        self._push(self._session(Times()), Times(), "pulled")

    def during(self, until: Callable[[], bool]) -> Times:
        """Let all work until it is so; return their times. Raises what a client ran into."""
        times, failures = Times(), list[BaseException]()

        def work(step: Callable[[requests.Session], None]) -> None:
            session = self._session(times)
            try:
                while not until() and not failures:
                    step(session)
            except Exception as error:
                failures.append(error)

        threads = [
            threading.Thread(target=work, args=(step,))
            for step in (
                *[lambda session: self._push(session, times)] * self._pushing,
                *[lambda session: self._pull(session, times)] * self._pulling,
            )
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return times

    def for_seconds(self, seconds: float) -> Times:
        """Let all work so long."""
        end = time.monotonic() + seconds
        return self.during(lambda: time.monotonic() >= end)

    def _session(self, times: Times) -> requests.Session:
        session = session_of(self._token)

        def note(answer: requests.Response, **_options: Any) -> None:
            if answer.request.method in ("POST", "PUT"):
                times.requests.append(answer.elapsed.total_seconds())

        session.hooks["response"].append(note)
        return session

    def _push(self, session: requests.Session, times: Times, tag: str = "") -> None:
        number, url = next(self._numbers), self._stack.url
        layer = f"layer {number} {time.time_ns()}".encode() * 40
        began = time.perf_counter()
        for content in (_CONFIG, layer):
            push_blob(session, url, REPOSITORY, content)
        manifest = manifest_of(_CONFIG, [layer], str(number))
        answer = session.put(
            f"{url}/v2/{REPOSITORY}/manifests/{tag or f't{number % 50}'}",
            data=manifest,
            headers={"Content-Type": MANIFEST},
            timeout=60,
        )
        if answer.status_code != 201:
            raise WrongAnswerError(f"{answer.status_code}: {answer.text}")
        times.pushes.append(time.perf_counter() - began)

    def _pull(self, session: requests.Session, times: Times) -> None:
        url = f"{self._stack.url}/v2/{REPOSITORY}"
        began = time.perf_counter()
        answer = session.get(f"{url}/manifests/pulled", timeout=60)
        answer.raise_for_status()
        for blob in answer.json()["layers"]:
            session.get(f"{url}/blobs/{blob['digest']}", timeout=60).raise_for_status()
        times.pulls.append(time.perf_counter() - began)


class Collections:
    """Collections of a running Moorage, ordered as an administrator orders them."""

    def __init__(self, stack: Stack) -> None:
        """Nothing is asked yet."""
        self._url = stack.url + API
        self._session = session_of()
        self._session.auth = ("admin", stack.admin_password)

    def start(self, **parameters: Any) -> str:
        """Order one; return its address."""
        body = {"schedule": {"type": "Manual"}, "parameters": parameters}
        made = self._session.post(f"{self._url}/system/gc/schedule", json=body, timeout=60)
        made.raise_for_status()
        return f"{self._url}/system/gc/{made.headers['Location'].rpartition('/')[2]}"

    def status(self, address: str) -> str:
        """Return how it stands: ``Success`` when it is over. Raises where it failed."""
        answer = self._session.get(address, timeout=60)
        answer.raise_for_status()
        status: str = answer.json()["job_status"]
        if status in ("Error", "Stopped"):
            raise RuntimeError(f"the collection ended as {status}")
        return status

    def wait(self, address: str) -> None:
        """Wait until it is over."""
        while self.status(address) != "Success":
            time.sleep(0.1)
