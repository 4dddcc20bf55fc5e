"""P14: 99th percentiles of pushes and pulls while collection, retention and page load run.

``python -m bench.p14_together [--scale 1.0]``: a Moorage with 10 000 images and 8 000 digests of
garbage, and a project of 10 000 tags under a retention policy. Four clients push and four pull, for
as long on the otherwise idle stack as with all of it, in turn, three times.
"""

import argparse
import statistics
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from bench.clients import API, Clients, Collections, Times, filled
from bench.harness import emit, spread
from bench.images import session_of
from bench.p10_pages import signed_in
from tests.live.stack import Stack

IMAGES, SECONDS, ROUNDS = 10_000, 20.0, 3
PAGES = ("/", "/p/", "/p/bench", "/p/kept/app", "/admin/audit", "/jobs/")


def main() -> None:
    """Measure on SQLite, as it is by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    scale = parser.parse_args().scale
    images, seconds = max(20, int(IMAGES * scale)), max(3.0, SECONDS * scale)
    counts: Counter[str] = Counter()
    idle, busy = list[Times](), list[Times]()
    with filled(images) as (stack, policy):
        clients = Clients(stack, pushing=4, pulling=4)
        clients.for_seconds(2)
        for _round in range(ROUNDS):
            idle.append(clients.for_seconds(seconds))
            with disturbed(stack, policy, counts):
                busy.append(clients.for_seconds(seconds))
    lines = [
        "| What | p99 idle, ms | p99 with all of it, ms | Ratio, median (range) | Goal "
        "| Median, ms | A second |",
        "|---|---|---|---|---|---|---|",
        _row("push", [t.pushes for t in idle], [t.pushes for t in busy], seconds),
        _row("pull", [t.pulls for t in idle], [t.pulls for t in busy], seconds),
    ]
    words = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    note = f"{images} images, {ROUNDS} rounds of {seconds:.0f} s each. Meanwhile: {words}."
    emit("P14", "P14: everything at once", lines, note)


def _row(what: str, idle: list[list[float]], busy: list[list[float]], seconds: float) -> str:
    before, after = ([Times.percentile(t, 0.99) for t in side] for side in (idle, busy))
    medians = [statistics.median(Times.median(t) for t in side) for side in (idle, busy)]
    rates = [statistics.median(len(t) for t in side) / seconds for side in (idle, busy)]
    ratio = spread([b / a for a, b in zip(before, after, strict=True)])
    return (
        f"| {what} | {statistics.median(before):.0f} | {statistics.median(after):.0f} | {ratio} "
        f"| ≤ 2 x | {medians[0]:.0f} / {medians[1]:.0f} | {rates[0]:.0f} / {rates[1]:.0f} |"
    )


@contextmanager
def disturbed(stack: Stack, policy: int, counts: Counter[str]) -> Iterator[None]:
    """Run collections, retention and page load, each over and over; count them."""
    stop, failures = threading.Event(), list[BaseException]()
    collections, retention = Collections(stack), _Retention(stack, policy)
    browser = signed_in(stack)

    def over_and_over(name: str, work: Callable[[], None]) -> None:
        try:
            while not stop.is_set():
                work()
                counts[name] += 1
        except Exception as error:
            failures.append(error)

    work: dict[str, Callable[[], None]] = {
        "rounds of pages": lambda: _load(browser, stack.url),
        "collections": lambda: collections.wait(collections.start(workers=1)),
        "retention runs": lambda: retention.run(stop),
    }
    threads = [threading.Thread(target=over_and_over, args=item) for item in work.items()]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]


def _load(browser: requests.Session, url: str) -> None:
    for page in PAGES:
        browser.get(url + page, timeout=120).raise_for_status()


class _Retention:
    """Runs of one policy; the first removes, those after it find nothing left."""

    def __init__(self, stack: Stack, policy: int) -> None:
        self._url = f"{stack.url}{API}/retentions/{policy}/executions"
        self._session: requests.Session = session_of()
        self._session.auth = ("admin", stack.admin_password)

    def run(self, stop: threading.Event) -> None:
        """Start one and wait for its end."""
        answer = self._session.post(self._url, json={"dry_run": False}, timeout=60)
        answer.raise_for_status()
        while True:
            newest = self._session.get(self._url, params={"page_size": 1}, timeout=60).json()[0]
            if newest["status"] == "Success":
                return
            if newest["status"] in ("Error", "Stopped"):
                raise RuntimeError(f"retention ended as {newest['status']}")
            stop.wait(0.2)


if __name__ == "__main__":
    main()
