"""P6: collection of a store of 10 000 images, 10 % garbage, against the registry's own.

``python -m bench.p06_collection [IMAGES]``. The store is made once; each contender works on a copy
of its own, of hard links.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.catalogue import database
from bench.harness import emit
from bench.store import Image, write_files, write_rows

IMAGES = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
GROWTH = (IMAGES // 10, IMAGES, IMAGES * 10)
MANY_TAGS = min(1_000, IMAGES)


def main() -> None:
    """Measure plan and deletion, then how it grows."""
    lines = [
        "| What | docker-registry garbage-collect, s | Moorage, s | Times as fast | Goal |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="moorage-p06-") as name:
        folder = Path(name)
        images = [Image(number) for number in range(IMAGES)]
        write_files(folder / "store", images)
        theirs = _copy(folder, "theirs")
        plan = min(_registry(theirs, "--dry-run") for _ in range(2))
        whole = _registry(theirs)
        left = _stored(theirs)
        for workers in (1, 4):
            ours = _copy(folder, f"ours{workers}")
            with database():
                write_rows(images)
                planned, found = _collect(ours, dry_run=True)
                took, result = _collect(ours, workers=workers)
            if _stored(ours) != left or result["freed_bytes"] != found["found_bytes"]:
                raise SystemExit("other digests survive, or other bytes were freed than foretold")
            if workers == 1:
                lines.append(_row(f"plan, {IMAGES} images", plan, planned, "≥ 10 x"))
            words = f"whole run, {workers} worker(s), {result['digests']} digests removed"
            lines.append(_row(words, whole, took, "≥ 3 x"))
    lines.append(_one_repository())
    note = (
        "SQLite; the same digests survive on both sides; Moorage also removes the digests' links "
        "and counts every byte."
    )
    emit("p06", "P6: collection of a store", lines, note)
    emit("p06-growth", "P6: growth", _growth())


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


def _collect(root: Path, **parameters: Any) -> tuple[float, dict[str, Any]]:
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


def _one_repository() -> str:
    """``-m`` on one repository of many tags, of which a tenth is untagged."""
    with tempfile.TemporaryDirectory(prefix="moorage-p06-") as name:
        folder = Path(name)
        images = [Image(number) for number in range(MANY_TAGS)]
        for image in images:
            image.repository = "r00000"
        write_files(folder / "store", images)
        _write_tags(folder / "store", images)
        theirs = _registry(_copy(folder, "theirs"), "--dry-run", "-m")
        ours = _copy(folder, "ours")
        with database():
            write_rows(images)
            took, _result = _collect(ours, dry_run=True)
    return _row(f"plan against -m, one repository of {MANY_TAGS} tags", theirs, took, "≥ 50 x")


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


def _growth() -> list[str]:
    """The same garbage among more and more images, then garbage in proportion."""
    lines = ["| Images | Digests of garbage | Plan, s | Whole run, s |", "|---|---|---|---|"]
    for count in GROWTH:
        images = [Image(number) for number in range(count)]
        folder = Path(tempfile.mkdtemp(prefix="moorage-p06-"))
        try:
            write_files(folder, images, only_garbage=True)
            with database():
                write_rows(images)
                planned, _found = _collect(folder, dry_run=True)
                took, result = _collect(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        lines.append(f"| {count} | {result['digests']} | {planned:.2f} | {took:.2f} |")
    return lines


if __name__ == "__main__":
    main()
