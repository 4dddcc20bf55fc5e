"""Garbage collection as a job: never read-only, safe to be stopped or killed anywhere.

Phases: what is in the trash too long is purged (and untagged images go there, where that was
ordered), *mark* finds what nothing needs, *sweep* removes it, then links, abandoned uploads, and
the second look at what former runs removed.
"""

import contextlib
import datetime
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError
from django.utils import timezone

from accounts.errors import BadRequest, PreconditionFailed
from registry_sync import (
    garbage_candidates,
    garbage_claims,
    garbage_epoch,
    garbage_links,
    garbage_settling,
    garbage_sweep,
    garbage_tombstones,
    garbage_untagged,
    garbage_uploads,
    purging,
)
from registry_sync.bulk import actor_of
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.failpoints import hit
from registry_sync.garbage_candidates import Candidate, Reason
from registry_sync.garbage_claims import Claim
from registry_sync.garbage_tally import Tally
from registry_sync.runs import Run
from registry_sync.storage.base import Storage

KIND = "garbage-collection"
MAX_WORKERS = 10
MAX_RATE = 10_000
# Batches that are under way together: the files of one, the rows of the other.
_AT_ONCE = 2


class BrakeError(PreconditionFailed):
    """There is garbage that nothing accounts for: somebody must look first."""


def parameters_of(wanted: dict[str, Any]) -> dict[str, Any]:
    """Check the parameters of a run or schedule. Raises ``BadRequest`` (with ``field``).

    ``workers``: threads that remove. ``rate``: digests a second at most, 0 for any number.
    """
    return {
        "delete_untagged": _flag(wanted, "delete_untagged"),
        "dry_run": _flag(wanted, "dry_run"),
        "workers": _number(wanted, "workers", 1, 1, MAX_WORKERS),
        "rate": _number(wanted, "rate", 0, 0, MAX_RATE),
        "accept_unexplained": _flag(wanted, "accept_unexplained"),
    }


def _flag(wanted: dict[str, Any], name: str) -> bool:
    value = wanted.get(name, False)
    if not isinstance(value, bool):
        raise BadRequest(f"{name} must be true or false.", field=name)
    return value


def _number(wanted: dict[str, Any], name: str, usual: int, least: int, most: int) -> int:
    value = wanted.get(name, usual)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"{name} must be a whole number from {least} to {most}.", field=name)
    return value


def run(run: Run) -> None:
    """Collect, or only say what would be collected."""
    storage = configured_storage()
    parameters = parameters_of(run.parameters)
    tally = Tally(run)
    try:
        if parameters["dry_run"]:
            garbage_epoch.require(storage)
            _dry_run(run, storage, tally)
        else:
            garbage_epoch.advance(storage)
            _collect(run, storage, parameters, tally)
    finally:
        # Where the connection is gone, the tables are too.
        with contextlib.suppress(DatabaseError):
            garbage_candidates.clear()


def _dry_run(run: Run, storage: Storage, tally: Tally) -> None:
    tally.begin("mark")
    run.progress(done=0, total=0, unit="digests", message="mark")
    before = garbage_candidates.old_before(timezone.now())
    totals = garbage_candidates.stage(storage, before=before)
    _explain(run)
    run.progress(done=0, total=totals.digests)
    for page in garbage_candidates.pages():
        tally.found(page)
        run.progress(done=tally.listed)
    links = garbage_links.count(before)
    uploads = garbage_uploads.abandoned(storage)
    upload_bytes = sum(upload.size for upload in uploads)
    run.log(f"{links} links, and {len(uploads)} abandoned uploads with {upload_bytes} bytes")
    images = garbage_untagged.untagged(before).count()
    run.log(f"{images} untagged images could be moved into the trash")
    run.log("dry run: nothing was removed")
    run.result(
        found=totals.digests,
        found_bytes=totals.size,
        found_links=links,
        found_uploads=len(uploads),
        found_upload_bytes=upload_bytes,
        found_untagged=images,
        unconfirmed_links=garbage_links.unconfirmed(before),
        by_reason={
            name: [of.digests, of.size] for name, of in garbage_candidates.by_reason().items()
        },
    )
    tally.end()


def _explain(run: Run) -> None:
    for name, totals in garbage_candidates.by_reason().items():
        run.log(f"{totals.digests} digests, {totals.size} bytes: {name}")


@dataclass(frozen=True, slots=True)
class _Job:
    """What the phases of one run share."""

    run: Run
    storage: Storage
    tally: Tally
    workers: int
    rate: int

    @property
    def owner(self) -> str:
        return f"task {self.run.task.pk} at {self.run.task.worker}"


def _collect(run: Run, storage: Storage, parameters: dict[str, Any], tally: Tally) -> None:
    job = _Job(run, storage, tally, parameters["workers"], parameters["rate"])
    tally.begin("trash")
    purging.run(run)
    if parameters["delete_untagged"]:
        before = garbage_candidates.old_before(timezone.now())
        count = garbage_untagged.delete(run, before=before, actor=actor_of(run.task.execution))
        run.result(untagged=count)
    tally.begin("mark")
    run.progress(done=0, total=0, unit="digests", message="mark")
    put_back = garbage_sweep.recover(storage)
    if put_back:
        run.log(f"put back {put_back} digests that a run which lost them had set aside")
    before = garbage_candidates.old_before(timezone.now())
    totals = garbage_candidates.stage(storage, before=before)
    _explain(run)
    if not parameters["accept_unexplained"]:
        _brake(run)
    hit("gc.marked")
    tally.begin("sweep")
    run.progress(done=0, total=totals.digests, unit="digests", message="sweep")
    run.result(found=totals.digests, found_bytes=totals.size)
    garbage_sweep.finish_abandoned(
        storage,
        owner=job.owner,
        workers=job.workers,
        telling=lambda claim: tally.take(garbage_candidates.described(claim.sizes)),
    )
    _sweep(job, before)
    tally.begin("links")
    links = garbage_links.collect(run, storage, before=before)
    run.result(links=links, unconfirmed_links=garbage_links.unconfirmed(before))
    tally.begin("uploads")
    tally.uploads(*garbage_uploads.remove(run, storage))
    tally.begin("check")
    run.result(**garbage_tombstones.look_again(run, storage))
    garbage_settling.settle(run, before=before)
    tally.end()
    run.log(f"removed {tally.digests} digests, {tally.size} bytes, and {links} links")


def _brake(run: Run) -> None:
    """Stop before anything is claimed where garbage is there that nothing accounts for."""
    bare = garbage_candidates.images_without_blobs()
    if bare:
        raise BrakeError(
            f"{bare} images seem to need nothing: the catalogue has lost what they need. "
            "Nothing was removed; run fsck"
        )
    totals = garbage_candidates.totals(Reason.UNEXPLAINED)
    if totals.digests:
        raise BrakeError(
            f"no purge and no upload accounts for {totals.digests} digests, {totals.size} bytes. "
            "Nothing was removed; look at a dry run, run fsck, then order it with "
            "accept_unexplained if they are garbage after all"
        )
    run.check()


def _sweep(job: _Job, before: datetime.datetime) -> None:
    batches: dict[str, list[Candidate]] = {}
    done = 0

    def claims() -> Iterator[tuple[Claim, garbage_sweep.Told]]:
        for batch in _batches(job):
            digests = [candidate.digest for candidate in batch]
            claim = garbage_claims.claim(digests, owner=job.owner, before=before)
            batches[claim.token] = batch
            yield claim, job.tally.take(batch)

    def ended(claim: Claim, gone: set[str]) -> None:
        nonlocal done
        batch = batches.pop(claim.token)
        job.tally.tell(batch, gone)
        done += len(batch)
        job.run.progress(done=done)

    at_once = 1 if job.rate else _AT_ONCE
    garbage_sweep.remove_each(
        job.storage, claims(), workers=job.workers, at_once=at_once, ended=ended
    )


def _batches(job: _Job) -> Iterator[list[Candidate]]:
    """Yield what is staged in batches, no faster than the rate allows."""
    step = min(garbage_claims.BATCH, job.rate or garbage_claims.BATCH)
    for page in garbage_candidates.pages():
        # What lay in one repository together: a directory is then made for many links.
        page.sort(key=lambda candidate: (candidate.repository, candidate.digest))
        for start in range(0, len(page), step):
            began, batch = time.monotonic(), page[start : start + step]
            yield batch
            if job.rate:
                _wait(job.run, began + len(batch) / job.rate)


def _wait(run: Run, until: float) -> None:
    """Keep to the rate, and stop when told to."""
    while (left := until - time.monotonic()) > 0:
        run.check()
        time.sleep(min(left, 0.2))
