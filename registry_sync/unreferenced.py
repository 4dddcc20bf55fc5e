"""Bytes that were sent to a project and that no image uses: at most as many as its storage limit.

They are in no quota, for they may be the layers of a push that goes on. Without an allowance
whoever may push could fill the disk within one grace. Counted at the beginning of an upload, and
every few seconds at most; uploads that have not ended are no blobs yet and do not count.
"""

import datetime

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import statements
from accounts.errors import Denied
from accounts.statements import Statement
from registry_sync import transactions, usage
from registry_sync.blobs import sized
from registry_sync.configured_storage import is_in_reach, storage
from registry_sync.models import ProjectUsage
from registry_sync.storage.base import StorageUnavailableError

# So long a count is good for.
_FRESH = datetime.timedelta(seconds=15)
# What was sent and never asked for has no size in its row: so many are measured at once.
_MEASURED = 200


def require_allowance(project_id: int, limit: int) -> None:
    """Raise ``Denied`` where more than ``limit`` bytes (-1: any number) lie here unused."""
    if usage.in_force(limit) < 0:
        return
    size = _counted(project_id)
    if size > limit:
        raise Denied(
            _(
                "%(size)d bytes were sent to the project and no image uses them; its storage limit "
                "of %(limit)d bytes allows no more before they are collected"
            )
            % {"size": size, "limit": limit}
        )


def _counted(project_id: int) -> int:
    known = ProjectUsage.objects.filter(project_id=project_id)
    row = known.values_list("unreferenced_bytes", "unreferenced_at").first()
    now = timezone.now()
    if row is not None and row[1] is not None and row[1] > now - _FRESH:
        return int(row[0])
    size = count(project_id)
    at = statements.moment(now)
    transactions.run(
        lambda: statements.run(usage.made(project_id), Statement(_KEEP, [size, at, project_id]))
    )
    return size


_KEEP = """
UPDATE registry_sync_projectusage SET unreferenced_bytes = %s, unreferenced_at = %s
WHERE project_id = %s
"""


def count(project_id: int) -> int:
    """Count the bytes; what lies in the trash is used by its images."""
    rows = statements.run(Statement(_UNUSED, [project_id] * 4))
    unknown = [digest for digest, size in rows if size is None][:_MEASURED]
    known = sum(int(size) for _digest, size in rows if size is not None)
    return known + _measured(unknown)


# Links that a collection found needed are left out by an index.
_UNUSED = """
SELECT b.digest, b.size FROM registry_sync_blob b
WHERE b.state = 'live' AND b.digest IN (
  SELECT l.digest FROM registry_sync_repositoryblob l
  JOIN registry_sync_repository r ON r.id = l.repository_id
  WHERE r.project_id = %s AND NOT l.is_settled)
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_projectblob p WHERE p.project_id = %s AND p.digest = b.digest)
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifactblob u
  JOIN registry_sync_artifact a ON a.id = u.artifact_id
  JOIN registry_sync_repository r ON r.id = a.repository_id
  WHERE u.digest = b.digest AND r.project_id = %s)
AND NOT EXISTS (
  SELECT 1 FROM registry_sync_artifact a
  JOIN registry_sync_repository r ON r.id = a.repository_id
  WHERE a.digest = b.digest AND r.project_id = %s)
"""


def _measured(digests: list[str]) -> int:
    if not digests or not is_in_reach():
        return 0
    total = 0
    for digest in digests:
        try:
            size = storage().size(digest)
        except StorageUnavailableError:
            return total
        if size is not None:
            total += size
            statements.run(sized(digest, size))
    return total
