"""P4: manifest PUT of 20 layers that are there already, 8 clients, against the registry."""

import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests

from bench.harness import PAIRS, bare_registry, cpu_seconds, emit, moorage, serving, spread
from bench.images import manifest_of, push_blob, put_manifest
from portal.demo.images import filler
from tests.live.stack import Stack
from tests.postgres import cluster

CLIENTS = 8
SECONDS = 4
LAYERS = 20


class Target:
    """One side: where to push, with which tokens."""

    def __init__(
        self, name: str, url: str, tokens: dict[str, str], pids: Callable[[], list[int]]
    ) -> None:
        """``tokens`` by repository; ``pids`` are the processes whose CPU counts."""
        self.pids = pids
        self.name = name
        self.url = url
        self.tokens = tokens
        self.config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
        self.layers = [filler(f"layer {number}", 2048) for number in range(LAYERS)]

    def session(self, repository: str) -> requests.Session:
        """A client of one repository."""
        session = requests.Session()
        session.trust_env = False
        if repository in self.tokens:
            session.headers["Authorization"] = f"Bearer {self.tokens[repository]}"
        return session

    def prepare(self, repository: str) -> None:
        """Push the blobs."""
        session = self.session(repository)
        for content in (self.config, *self.layers):
            push_blob(session, self.url, repository, content)

    def run(self, repositories: list[str]) -> tuple[float, float, float]:
        """Push manifests from 8 clients for a while; return rate, median time (ms), CPU (µs)."""
        times: list[float] = []
        stop = time.perf_counter() + SECONDS

        def client(number: int) -> None:
            repository = repositories[number % len(repositories)]
            session = self.session(repository)
            count = 0
            while time.perf_counter() < stop:
                note = f"{number} {count} {time.time_ns()}"
                manifest = manifest_of(self.config, self.layers, note)
                before = time.perf_counter()
                put_manifest(session, self.url, repository, f"t{number}-{count % 50}", manifest)
                times.append((time.perf_counter() - before) * 1e3)
                count += 1

        used = cpu_seconds(self.pids())
        threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = cpu_seconds(self.pids()) - used
        return len(times) / SECONDS, statistics.median(times), used * 1e6 / len(times)


def main() -> None:
    """Measure on both databases, in eight projects and in one."""
    lines = [
        "| What | Against | Ratio of rates, median (range) | Goal | Manifests/s, ours / theirs "
        "| Median ms, ours / theirs | Added ms | Goal | CPU in µs per push |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with bare_registry() as registry:
        theirs = Target("registry", registry.url, {}, registry.pids)
        for database, goal in (("SQLite", "≤ 6"), ("PostgreSQL", "≤ 10")):
            with started(database) as (stack, database_pids):
                names = [f"bench{number}/app" for number in range(CLIENTS)]
                for name in names:
                    _project(stack, name.partition("/")[0])
                scopes = {name: stack.token(f"repository:{name}:pull,push") for name in names}
                ours = Target(
                    "Moorage", stack.url, scopes, partial(_answering, stack, database_pids)
                )
                for name in names:
                    ours.prepare(name)
                    theirs.prepare(name)
                for what, used in (("8 projects", names), ("one project", names[:1])):
                    lines.append(_row(f"{database}, {what}", ours, theirs, used, goal))
    emit("P4", "P4: manifest pushes", lines)


def _row(what: str, ours: Target, theirs: Target, names: list[str], goal: str) -> str:
    ours.run(names)
    theirs.run(names)
    pairs = [(ours.run(names), theirs.run(names)) for _pair in range(PAIRS)]
    ratio = spread([a[0] / b[0] for a, b in pairs])
    rates, times, cpu = (
        [statistics.median(pair[side][figure] for pair in pairs) for side in (0, 1)]
        for figure in range(3)
    )
    return (
        f"| {what} | {theirs.name} | {ratio} | ≥ 0.6 | {rates[0]:.0f} / {rates[1]:.0f} "
        f"| {times[0]:.1f} / {times[1]:.1f} | {times[0] - times[1]:.1f} | {goal} "
        f"| {cpu[0]:.0f} / {cpu[1]:.0f} |"
    )


def _project(stack: Stack, name: str) -> None:
    stack.request(
        "POST",
        "/api/v2.0/projects",
        json={"project_name": name},
        auth=("admin", stack.admin_password),
    ).raise_for_status()


@contextmanager
def started(database: str) -> Iterator[tuple[Stack, Callable[[], list[int]]]]:
    """A Moorage on that database, and what tells the database's own processes."""
    if database == "SQLite":
        with moorage() as stack:
            yield stack, list
        return
    with cluster(is_durable=True) as url, moorage(MOORAGE_DATABASE_URL=url) as stack:
        yield stack, lambda: _children_of_postgres(url)


def _answering(stack: Stack, database_pids: Callable[[], list[int]]) -> list[int]:
    """Whoever has a part in a push: nginx, gateway, registry, and the database."""
    return [*serving(stack), *database_pids()]


def _children_of_postgres(url: str) -> list[int]:
    """The server whose socket the URL names, and the process that it has for each connection."""
    folder = Path(unquote(urlsplit(url).netloc.rpartition("@")[2]))
    server = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
    tasks = Path(f"/proc/{server}/task")
    return [
        server,
        *(
            int(child)
            for task in tasks.iterdir()
            for child in (task / "children").read_text().split()
        ),
    ]


if __name__ == "__main__":
    main()
