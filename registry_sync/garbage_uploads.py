"""Uploads that nobody went on with: their bytes are no blob yet, and no row speaks of them."""

import datetime

from django.conf import settings
from django.utils import timezone

from registry_sync.failpoints import hit
from registry_sync.runs import Run
from registry_sync.storage.base import Storage, Upload


def abandoned(storage: Storage) -> list[Upload]:
    """Return the uploads to which no byte came for the grace."""
    before = timezone.now() - datetime.timedelta(seconds=settings.MOORAGE_GC_GRACE)
    return [upload for upload in storage.uploads() if upload.touched_at < before]


def remove(run: Run, storage: Storage) -> tuple[int, int]:
    """Remove them; return how many, and their bytes."""
    found = abandoned(storage)
    run.progress(done=0, total=len(found), unit="uploads", message="uploads")
    for done, upload in enumerate(found, start=1):
        hit("gc.upload")
        storage.remove_upload(upload)
        run.log(f"removed an upload of {upload.size} bytes in {upload.repository}")
        run.progress(done=done)
    return len(found), sum(upload.size for upload in found)
