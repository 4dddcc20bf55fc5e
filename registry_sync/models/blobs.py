"""Bytes by their digests: what the registry holds, where, and who needs it."""

from typing import Self

from django.db import models

from accounts.models.fields import ByteOrderedCharField
from registry_sync.models.catalog import Artifact, Repository


class BlobQuerySet(models.QuerySet["Blob"]):
    """Questions about digests."""

    def removed(self, state: str) -> Self:
        """Only those in one state of removal: ``deleting`` or ``gone``.

        SQLite uses the index of these few only where it is told that they are not live.
        """
        return self.exclude(state=Blob.State.LIVE).filter(state=state)


class Blob(models.Model):
    """One row per digest in the system, manifests' own digests included."""

    class State(models.TextChoices):
        LIVE = "live"
        DELETING = "deleting"
        GONE = "gone"

    digest = ByteOrderedCharField(max_length=71, primary_key=True)
    # Bytes as the registry reports them; unknown until it was seen there.
    size = models.BigIntegerField(null=True, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.LIVE)
    # A new random number whenever the row becomes live: a pin taken before a collection is told
    # from the row after it.
    generation = models.BigIntegerField()
    touched_at = models.DateTimeField()
    # When a purge dropped what needed it, until something is pushed that needs it again: garbage
    # that nothing accounts for is left alone.
    released_at = models.DateTimeField(null=True, blank=True)
    # A collection found that something needs it, and no purge has dropped anything since: so it is
    # no garbage. Who removes an edge takes the mark away, under the row's lock.
    is_settled = models.BooleanField(default=False, db_default=False)
    # While it is ``deleting``: who does it, the token that fences the removal, until when.
    claim_owner = models.CharField(max_length=128, blank=True, default="", db_default="")
    claim_token = models.CharField(max_length=32, blank=True, default="", db_default="")
    claimed_until = models.DateTimeField(null=True, blank=True)
    # When the removal began, whoever goes on with it.
    claimed_at = models.DateTimeField(null=True, blank=True)
    # Since when it is ``gone``.
    gone_at = models.DateTimeField(null=True, blank=True)

    objects = BlobQuerySet.as_manager()

    class Meta:
        ordering = ["digest"]
        indexes = [
            models.Index(
                fields=["state", "digest"],
                condition=~models.Q(state="live"),
                name="blob_not_live",
            ),
            models.Index(
                fields=["digest"],
                condition=models.Q(state="live", is_settled=False),
                name="blob_unsettled",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.digest} ({self.state})"


class RepositoryBlob(models.Model):
    """A digest's link in a repository, written before the effect it announces."""

    class Kind(models.TextChoices):
        LAYER = "layer"
        MANIFEST = "manifest"

    class State(models.TextChoices):
        EXPECTED = "expected"
        PRESENT = "present"

    repository = models.ForeignKey(
        Repository, on_delete=models.PROTECT, related_name="blobs", db_index=False
    )
    digest = ByteOrderedCharField(max_length=71)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    state = models.CharField(max_length=8, choices=State.choices)
    touched_at = models.DateTimeField()
    # The same as a blob's, for what needs the digest in this repository.
    is_settled = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["repository", "digest", "kind"], name="repository_blob_unique"
            )
        ]
        indexes = [
            models.Index(fields=["digest"], name="repository_blob_digest"),
            models.Index(
                fields=["id"],
                condition=models.Q(is_settled=False),
                name="repository_blob_unsettled",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}@{self.digest} ({self.state})"


class ArtifactBlob(models.Model):
    """A manifest's use of a blob: its config (position 0) or a layer (1 = bottom)."""

    artifact = models.ForeignKey(
        Artifact, on_delete=models.CASCADE, related_name="blobs", db_index=False
    )
    blob = models.ForeignKey(
        Blob, on_delete=models.PROTECT, db_column="digest", related_name="artifacts"
    )
    position = models.PositiveIntegerField()
    media_type = models.CharField(max_length=255)
    # Bytes as the registry holds them.
    size = models.BigIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["artifact", "position"], name="artifact_blob_unique")
        ]

    def __str__(self) -> str:
        return f"{self.artifact_id}[{self.position}] {self.blob_id}"


class ProjectBlob(models.Model):
    """What counts, once, in a project's quota."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    digest = ByteOrderedCharField(max_length=71)
    size = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "digest"], name="project_blob_unique")
        ]

    def __str__(self) -> str:
        return f"{self.project_id}@{self.digest}"
