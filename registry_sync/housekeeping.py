"""What has to be done now and then: keys renewed, and what no longer counts dropped."""

import datetime

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts import sessions, throttle
from accounts.crypto import ensure_keys
from registry_sync import (
    executions,
    garbage_epoch,
    in_use,
    planner_statistics,
    push_days,
    queues,
    relay,
    statistics,
)
from registry_sync.configured_storage import storage as configured_storage
from registry_sync.failpoints import hit
from registry_sync.garbage_epoch import InterlockError
from registry_sync.models import BlobFetch, ProxyCheck
from registry_sync.proxy_cache import arriving, figures
from registry_sync.runs import Run
from registry_sync.storage.base import StorageUnavailableError

KIND = "housekeeping"
_KEEP_EXECUTIONS = 500
_KEEP = datetime.timedelta(days=90)
# What an upstream said of a tag is true for seconds, and so long is the lease of a fetch.
_KEEP_CHECKS = datetime.timedelta(days=1)
_KEEP_EVENTS = datetime.timedelta(days=7)
# A year and a month: the same month of last year can be looked at beside this one.
_KEEP_PULLS = datetime.timedelta(days=400)


def run(run: Run) -> None:
    """Do all of it; each part may be done twice."""
    now = timezone.now()
    ensure_keys(settings.MOORAGE_KEYS)
    run.log("the signing key's certificate is valid")
    hit("housekeeping.keys")
    run.log(f"dropped {throttle.remove_old(now)} throttle counters")
    run.log(f"dropped {sessions.remove_stale()} sessions that have ended")
    run.check()
    pruned = executions.prune(keep=_KEEP_EXECUTIONS, before=now - _KEEP)
    run.log(f"dropped {pruned} old executions")
    events = 0
    while count := relay.prune(now - _KEEP_EVENTS):
        events += count
        run.check()
    run.log(f"dropped {events} delivered events")
    pulls = statistics.prune((now - _KEEP_PULLS).date())
    pushes = push_days.prune((now - _KEEP_PULLS).date())
    run.log(f"dropped {pulls} days of pulls, {pushes} of pushes")
    checks = ProxyCheck.objects.filter(checked_at__lt=now - _KEEP_CHECKS).delete()[0]
    died = Q(lease_until=None) | Q(lease_until__lt=now - _KEEP_CHECKS)
    BlobFetch.objects.filter(died, wanted_at__lt=now - _KEEP_CHECKS).delete()
    figures.prune((now - _KEEP_PULLS).date())
    finished = arriving.mend()
    run.log(f"proxy projects: dropped {checks} checks, finished {finished} images")
    queues.forget_workers()
    if tables := planner_statistics.renew():
        run.log(f"SQLite looked at {tables} large tables, to choose their indexes")
    run.log(f"dropped {in_use.forget_expired()} reports of what runs, which had expired")
    try:
        garbage_epoch.advance(configured_storage())
    except (InterlockError, StorageUnavailableError) as error:
        # Collection refuses too, and that is where somebody looks.
        run.log(str(error))
