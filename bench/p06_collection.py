"""P6: collection of a store of 10 000 images, 10 % garbage, against the registry's own.

``python -m bench.p06_collection [--scale 1.0] [--directory DIR]``. The store is made once; each
contender works on a copy of its own, of hard links. Then ``-m`` on one repository of 1 000 tags,
and the longest request of a push while a collection of as much garbage runs.
"""

import argparse
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.catalogue import database
from bench.clients import Clients, Collections, Times, filled
from bench.harness import emit
from bench.store import Image, write_files, write_rows

IMAGES, MANY_TAGS, IDLE_SECONDS = 10_000, 1_000, 10.0
_HEAD = [
    "| What | docker-registry garbage-collect, s | Moorage, s | Times as fast | Goal |",
    "|---|---|---|---|---|",
]


def main() -> None:
    """Measure plan and deletion, ``-m``, and the pause."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--directory", type=Path, help="where the stores lie")
    given = parser.parse_args()
    count = max(20, int(IMAGES * given.scale))
    lines = [*_HEAD, *_against_registry(count, given.directory)]
    lines.append(_one_repository(max(20, int(MANY_TAGS * given.scale)), given.directory))
    note = (
        "SQLite; the same digests survive on both sides, and the bytes freed are those foretold; "
        "Moorage also removes the digests' links and writes down each digest. First: no collection "
        "ran before, all rows are looked at. Settled: one ran before the purges."
    )
    emit("p06", "P6: collection of a store", lines, note)
    emit("p06-pause", "P6: pushes meanwhile", _pauses(count))


def _against_registry(count: int, directory: Path | None) -> Iterator[str]:
    """Each contender alone, on its copy."""
    with _folder(directory) as folder:
        images = [Image(number) for number in range(count)]
        write_files(folder / "store", images)
        theirs = _copy(folder, "theirs")
        plan = min(_registry(theirs, "--dry-run") for _ in range(2))
        whole = _registry(theirs)
        left = _stored(theirs)
        shutil.rmtree(theirs)
        for is_settled, workers in ((False, 1), (True, 1), (True, 4)):
            ours = _copy(folder, "ours")
            with database():
                write_rows(images, is_settled=is_settled)
                planned, found = collect(ours, dry_run=True)
                took, result = collect(ours, workers=workers)
            if _stored(ours) != left or result["freed_bytes"] != found["found_bytes"]:
                raise SystemExit("other digests survive, or other bytes were freed than foretold")
            shutil.rmtree(ours)
            state = "settled" if is_settled else "first"
            if workers == 1:
                yield _row(f"plan, {count} images, {state}", plan, planned, "≥ 10 x")
            words = f"whole run, {state}, {workers} worker(s), {result['digests']} digests removed"
            yield _row(words, whole, took, "≥ 3 x")


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="moorage-p06-", dir=directory) as name:
        yield Path(name)


def _row(what: str, theirs: float, ours: float, goal: str) -> str:
    return f"| {what} | {theirs:.2f} | {ours:.2f} | {theirs / ours:.1f} | {goal} |"


def _copy(folder: Path, name: str) -> Path:
    subprocess.run(["cp", "-al", folder / "store", folder / name], check=True)
    return folder / name


def _registry(root: Path, *flags: str) -> float:
    configuration = root.with_suffix(".yml")
    configuration.write_text(f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\n")
    began = time.perf_counter()
    subprocess.run(
        ["docker-registry", "garbage-collect", *flags, configuration],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


def _stored(root: Path) -> set[str]:
    return {path.parent.name for path in root.glob("docker/registry/v2/blobs/sha256/*/*/data")}


def collect(root: Path, **parameters: Any) -> tuple[float, dict[str, Any]]:
    """Run a collection as a job; return its seconds and its result."""
    from django.conf import settings  # noqa: PLC0415 - only once Django is set up

    from accounts.principals import SYSTEM_ACTOR  # noqa: PLC0415
    from registry_sync import executions, garbage, tasks  # noqa: PLC0415

    settings.MOORAGE_STORAGE_ROOT = root
    order = executions.create(
        garbage.KIND, actor=SYSTEM_ACTOR, parameters=garbage.parameters_of(parameters)
    )
    began = time.perf_counter()
    tasks.run_task(order.tasks.get().pk)
    took = time.perf_counter() - began
    task = order.tasks.get()
    if task.state != "succeeded":
        raise SystemExit(task.message)
    return took, task.result


def _one_repository(tags: int, directory: Path | None) -> str:
    """``-m`` on one repository of many tags, of which a tenth is untagged."""
    with _folder(directory) as folder:
        images = [Image(number) for number in range(tags)]
        for image in images:
            image.repository = "r00000"
        write_files(folder / "store", images)
        _write_tags(folder / "store", images)
        theirs = _registry(_copy(folder, "theirs"), "--dry-run", "-m")
        ours = _copy(folder, "ours")
        with database():
            write_rows(images, is_settled=True)
            took, _result = collect(ours, dry_run=True)
    return _row(f"plan against -m, one repository of {tags} tags", theirs, took, "≥ 50 x")


def _write_tags(root: Path, images: list[Image]) -> None:
    """Tag nine tenths; of the rest the manifest link is there, as the registry needs it for -m."""
    place = root / "docker/registry/v2/repositories/bench/r00000/_manifests"
    for number, image in enumerate(images):
        digest = image.digest.removeprefix("sha256:")
        revision = place / "revisions/sha256" / digest
        revision.mkdir(parents=True, exist_ok=True)
        (revision / "link").write_text(image.digest)
        if number % 10:
            tag = place / f"tags/t{number}"
            for link in (tag / "current/link", tag / "index/sha256" / digest / "link"):
                link.parent.mkdir(parents=True, exist_ok=True)
                link.write_text(image.digest)


def _pauses(count: int) -> list[str]:
    """Time every request of pushes, idle and while a collection removes as much garbage."""
    with filled(count) as (stack, _policy):
        clients, collections = Clients(stack, pushing=1, pulling=0), Collections(stack)
        clients.for_seconds(2)
        idle = clients.for_seconds(min(IDLE_SECONDS, max(3.0, count / 1000)))
        address = collections.start(workers=1)
        began = time.monotonic()
        during = clients.during(lambda: collections.status(address) == "Success")
        took = time.monotonic() - began
    lines = [
        f"A collection of {took:.1f} s, and one client that pushes; ms of each request of a push.",
        "",
        "| | Requests | Median | p99 | Longest | Goal |",
        "|---|---|---|---|---|---|",
    ]
    for what, times in (("idle", idle), ("while collection runs", during)):
        values = times.requests
        longest = max(values) * 1e3
        goal = "" if times is idle else "≤ 50 ms"
        lines.append(
            f"| {what} | {len(values)} | {statistics.median(values) * 1e3:.1f} "
            f"| {Times.percentile(values, 0.99):.1f} | {longest:.1f} | {goal} |"
        )
    return lines


if __name__ == "__main__":
    main()
