"""Projects that hold what another registry has: what of it is here, and what is still to come."""

from django.db import models

from accounts.models.fields import ByteOrderedCharField
from registry_sync.models.catalog import Artifact, Repository
from registry_sync.models.replication import RemoteRegistry


class ProxyCache(models.Model):
    """What a proxy project is filled from, and within which bounds."""

    project = models.OneToOneField(
        "accounts.Project", on_delete=models.PROTECT, primary_key=True, related_name="proxy_cache"
    )
    remote = models.ForeignKey(
        RemoteRegistry, on_delete=models.PROTECT, related_name="proxy_caches"
    )
    # KiB a second from the upstream, for all that the project fetches at a time; 0: no limit.
    speed_limit = models.PositiveIntegerField(default=0)
    # Blobs fetched from the upstream at a time; 0: no limit but the machine's.
    max_connections = models.PositiveIntegerField(default=0)
    # Which repositories, by their path below the project (doublestar); empty: all of them.
    pattern = models.CharField(max_length=512, blank=True)
    # Whether what the upstream has no longer is still served from here.
    serves_removed = models.BooleanField(default=False)
    # Whether the upstream is asked what is about an artifact.
    asks_referrers = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.project_id} from {self.remote_id}"


class UpstreamState(models.Model):
    """How an upstream answered last, and how much it still lets us fetch."""

    remote = models.OneToOneField(
        RemoteRegistry, on_delete=models.CASCADE, primary_key=True, related_name="upstream_state"
    )
    # ``RateLimit-Limit`` and ``-Remaining``, and the seconds they speak of; empty where unsaid.
    rate_limit = models.PositiveIntegerField(null=True, blank=True)
    rate_remaining = models.PositiveIntegerField(null=True, blank=True)
    rate_window = models.PositiveIntegerField(null=True, blank=True)
    rate_at = models.DateTimeField(null=True, blank=True)
    # It said 429: until then it is not asked again.
    blocked_until = models.DateTimeField(null=True, blank=True)
    succeeded_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=512, blank=True)
    failed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.remote_id}: {self.error or 'answers'}"


class ProxyDay(models.Model):
    """What a proxy project served and fetched on one day (UTC)."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    day = models.DateField()
    # Manifests and blobs that were here, and those that had to be fetched first.
    hits = models.BigIntegerField(default=0)
    misses = models.BigIntegerField(default=0)
    # Served without fetching them; fetched from the upstream.
    hit_bytes = models.BigIntegerField(default=0)
    fetched_bytes = models.BigIntegerField(default=0)
    upstream_requests = models.BigIntegerField(default=0)
    upstream_errors = models.BigIntegerField(default=0)
    # Served from here because the upstream did not answer.
    stale = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["project", "day"], name="proxy_day_unique")]

    def __str__(self) -> str:
        return f"{self.project_id} {self.day}: {self.hits} of {self.hits + self.misses}"


class ProxyCheck(models.Model):
    """What the upstream last said a tag is; an empty digest: that it is not there."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.CASCADE, related_name="+", db_index=False
    )
    path = ByteOrderedCharField(max_length=255)
    reference = ByteOrderedCharField(max_length=128)
    digest = ByteOrderedCharField(max_length=71, blank=True)
    checked_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "path", "reference"], name="proxy_check_unique"
            )
        ]
        indexes = [models.Index(fields=["checked_at"], name="proxy_check_age")]

    def __str__(self) -> str:
        return f"{self.path}:{self.reference} is {self.digest or 'absent'}"


class AbsentPart(models.Model):
    """What an incomplete artifact names and what is not here: a blob, or an index's manifest."""

    artifact = models.ForeignKey(
        Artifact, on_delete=models.CASCADE, related_name="absent_parts", db_index=False
    )
    digest = ByteOrderedCharField(max_length=71)
    # As in ``ArtifactBlob`` and ``ArtifactReference``.
    position = models.PositiveIntegerField()
    is_manifest = models.BooleanField()
    # Bytes, as the manifest says.
    size = models.BigIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["artifact", "position"], name="absent_part_unique")
        ]
        indexes = [models.Index(fields=["digest"], name="absent_part_digest")]

    def __str__(self) -> str:
        return f"{self.artifact_id}[{self.position}] lacks {self.digest}"


class BlobFetch(models.Model):
    """A blob that is being fetched: by one process at a time, for all that want it."""

    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    digest = ByteOrderedCharField(max_length=71)
    fencing_token = models.BigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    # When somebody in another process last waited for it.
    wanted_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "blob fetches"
        constraints = [
            models.UniqueConstraint(fields=["repository", "digest"], name="blob_fetch_unique")
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}@{self.digest}"
