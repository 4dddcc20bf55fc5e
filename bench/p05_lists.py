"""P5: the whole catalogue of 10 000 repositories, and 5 000 tags whole and in pages."""

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import requests

from bench.harness import PAIRS, bare_registry, emit, moorage, spread
from bench.images import push
from tests.live.client import run_in
from tests.live.stack import Stack

REPOSITORIES = 10_000
TAGS = 5_000
PAGE = 100

_SEED = f"""
from django.utils import timezone
from accounts.models import Project
from registry_sync.models import Artifact, Repository, Tag
from registry_sync.tag_names import sort_key
library = Project.objects.get(name="library")
now = timezone.now()
Repository.objects.bulk_create(
    [Repository(project=library, path=f"many{{n:05d}}", pushed_at=now)
     for n in range({REPOSITORIES} - 1)], batch_size=500)
artifact = Artifact.objects.get(repository__path="bench")
names = [f"1.{{n // 100}}.{{n % 100}}" for n in range({TAGS} - 1)]
Tag.objects.bulk_create(
    [Tag(repository=artifact.repository, name=name, artifact=artifact, sort_key=sort_key(name),
         pushed_by_name="bench", pushed_at=now) for name in names], batch_size=500)
"""


def main() -> None:
    """Measure whole lists and a page at both ends."""
    lines = [
        "| What | Against | Ratio of times, median (range) | Goal | ms, ours / theirs |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="moorage-bench-lists-") as directory:
        root = Path(directory)
        with moorage() as stack, bare_registry(root) as registry:
            session = _session(stack)
            push(stack.url, "library/bench", token=_token(stack))
            push(registry.url, "library/bench")
            run_in(stack, _SEED)
            _seed_registry(root)
            catalogue = "/v2/_catalog"
            tags = "/v2/library/bench/tags/list"
            lines += [
                _row(
                    f"whole _catalog, {REPOSITORIES} repositories",
                    lambda: _all(session, stack.url, catalogue, "repositories", REPOSITORIES),
                    lambda: _all(
                        requests.Session(),
                        registry.url,
                        catalogue + "?n=1000",
                        "repositories",
                        REPOSITORIES,
                    ),
                    "≤ 0.05",
                ),
                _row(
                    f"whole tags/list, {TAGS} tags",
                    lambda: _all(session, stack.url, tags, "tags", TAGS),
                    lambda: _all(requests.Session(), registry.url, tags, "tags", TAGS),
                    "≤ 1.0",
                ),
            ]
            for where, last in (("first", ""), ("last", "&last=1.48.98")):
                path = f"{tags}?n={PAGE}{last}"
                milliseconds = _median(partial(_get, session, stack.url + path))
                lines.append(
                    f"| {where} page of {PAGE} tags of {TAGS} | | | ≤ 5 ms | {milliseconds:.1f} |"
                )
    emit("P5", "P5: lists", lines)


def _token(stack: Stack) -> str:
    return stack.token("registry:catalog:* repository:library/bench:pull,push")


def _session(stack: Stack) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {_token(stack)}"
    return session


def _get(session: requests.Session, url: str) -> requests.Response:
    response = session.get(url, timeout=60)
    response.raise_for_status()
    return response


def _all(session: requests.Session, base: str, path: str, key: str, expected: int) -> None:
    """Follow the list to its end and count."""
    count, url = 0, base + path
    while url:
        response = _get(session, url)
        count += len(response.json()[key])
        url = response.links.get("next", {}).get("url", "")
        url = f"{base}{url}" if url.startswith("/") else url
    if count != expected:
        raise AssertionError(f"{path}: {count} of {expected}")


def _median(work: Callable[[], object]) -> float:
    work()
    return statistics.median(_timed(work) for _ in range(20))


def _timed(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return (time.perf_counter() - before) * 1e3


def _row(what: str, ours: Callable[[], object], theirs: Callable[[], object], goal: str) -> str:
    ours()
    theirs()
    pairs = [(_timed(ours), _timed(theirs)) for _pair in range(PAIRS)]
    medians = [statistics.median(pair[side] for pair in pairs) for side in (0, 1)]
    return (
        f"| {what} | registry | {spread([a / b for a, b in pairs])} | {goal} "
        f"| {medians[0]:.0f} / {medians[1]:.0f} |"
    )


def _seed_registry(root: Path) -> None:
    """Write what pushes would have written: a link per repository, and one per tag."""
    base = root / "docker/registry/v2/repositories/library"
    digest = next((base / "bench/_manifests/revisions/sha256").iterdir()).name
    link = f"sha256:{digest}"
    for number in range(REPOSITORIES - 1):
        revision = base / f"many{number:05d}/_manifests/revisions/sha256/{digest}"
        revision.mkdir(parents=True)
        (revision / "link").write_text(link)
        (base / f"many{number:05d}/_layers").mkdir()
    for number in range(TAGS - 1):
        tag = base / f"bench/_manifests/tags/1.{number // 100}.{number % 100}/current"
        tag.mkdir(parents=True)
        (tag / "link").write_text(link)


if __name__ == "__main__":
    main()
