"""What the registry holds: the truth about repositories, artifacts, tags and blobs.

A foreign key with which a unique constraint or an index begins has none of its own: a push writes
each of them for every row.
"""

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Project
from accounts.models.fields import ByteOrderedCharField
from accounts.principals import Principal


class ProjectUsage(models.Model):
    """The row a push locks instead of its project."""

    project = models.OneToOneField(
        "accounts.Project", on_delete=models.PROTECT, primary_key=True, related_name="usage"
    )
    used_bytes = models.BigIntegerField(default=0)
    # What lies here that no image uses, as it was counted last.
    unreferenced_bytes = models.BigIntegerField(default=0, db_default=0)
    unreferenced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(used_bytes__gte=0), name="project_usage_not_negative"
            )
        ]

    def __str__(self) -> str:
        return f"{self.project_id}: {self.used_bytes} bytes"


class RepositoryQuerySet(models.QuerySet["Repository"]):
    """Questions about repositories."""

    def pushed(self) -> Self:
        """Leave out those into which no push ever finished."""
        return self.exclude(pushed_at=None)


class Repository(models.Model):
    """A named collection of artifacts in a project; ``path`` is the name below the project."""

    project = models.ForeignKey(
        "accounts.Project", on_delete=models.PROTECT, related_name="repositories", db_index=False
    )
    path = ByteOrderedCharField(max_length=255)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    # The last finished push; empty until the first one is.
    pushed_at = models.DateTimeField(null=True, blank=True)

    objects = RepositoryQuerySet.as_manager()

    class Meta:
        ordering = ["path"]
        verbose_name_plural = "repositories"
        constraints = [
            models.UniqueConstraint(fields=["project", "path"], name="repository_path_unique")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """What clients call it."""
        return f"{self.project.name}/{self.path}"

    @property
    def registry_name(self) -> str:
        """What the registry calls it."""
        return f"{self.project.registry_key}/{self.path}"


class ManifestBody(models.Model):
    """A manifest's bytes, once per digest in the whole system."""

    digest = ByteOrderedCharField(max_length=71, primary_key=True)
    media_type = models.CharField(max_length=255)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.digest


class ArtifactQuerySet(models.QuerySet["Artifact"]):
    """Questions about artifacts."""

    def live(self) -> Self:
        """Leave out what lies in the trash."""
        return self.filter(trash_entry=None)

    def visible_to(self, principal: Principal) -> Self:
        """Only those in projects this caller may know of."""
        projects = Project.objects.visible_to(principal)
        return self.live().filter(repository__project__in=projects)


class Artifact(models.Model):
    """One manifest digest in one repository."""

    class Kind(models.TextChoices):
        IMAGE = "image", _("Image")
        INDEX = "index", _("Multi-platform image")
        OTHER = "other", _("Artifact")

    repository = models.ForeignKey(
        Repository, on_delete=models.PROTECT, related_name="artifacts", db_index=False
    )
    body = models.ForeignKey(
        ManifestBody, on_delete=models.PROTECT, db_column="digest", related_name="artifacts"
    )
    kind = models.CharField(max_length=16, choices=Kind.choices)
    media_type = models.CharField(max_length=255)
    # The manifest's own artifactType, else its config's media type.
    artifact_type = models.CharField(max_length=255, blank=True)
    # Bytes of the manifest, its config and its layers, as the registry holds them; for an index
    # its own bytes and those of its children.
    size = models.BigIntegerField()
    os = models.CharField(max_length=64, blank=True)
    architecture = models.CharField(max_length=64, blank=True)
    variant = models.CharField(max_length=64, blank=True)
    author = models.CharField(max_length=512, blank=True)
    built_at = models.DateTimeField(null=True, blank=True)
    # The configuration as pushed: an image's, a chart's metadata; empty where it is no JSON.
    config = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    subject_digest = ByteOrderedCharField(max_length=71, blank=True)
    pushed_by_id = models.BigIntegerField(null=True, blank=True)
    pushed_by_name = models.CharField(max_length=255)
    pushed_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    # Whether all that it names is here. In a proxy project only: until it is, the manifest is in
    # the database alone, and ``AbsentPart`` says what is to come.
    is_complete = models.BooleanField(default=True, db_default=True)
    # The deletion that put it into the trash; empty while it lives.
    trash_entry = models.ForeignKey(
        "registry_sync.TrashEntry",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="artifacts",
    )

    objects = ArtifactQuerySet.as_manager()

    class Meta:
        ordering = ["-pushed_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "body"], name="artifact_digest_unique")
        ]
        indexes = [
            # What is about another one; the rest lets a repository's images be counted by the
            # index alone.
            models.Index(
                fields=["repository", "subject_digest", "trash_entry", "kind"],
                name="artifact_subject",
            ),
            # A repository's newest come first, and a list shows a few of many.
            models.Index(fields=["repository", "-pushed_at", "-id"], name="artifact_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.repository_id}@{self.body_id}"

    @property
    def digest(self) -> str:
        """``sha256:<64 hex digits>`` of the manifest."""
        return self.body_id

    @property
    def platform(self) -> str:
        """``linux/arm64/v8``, or nothing where the artifact has none."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class ArtifactReference(models.Model):
    """An index's entry: which child, for which platform."""

    parent = models.ForeignKey(
        Artifact, on_delete=models.CASCADE, related_name="references", db_index=False
    )
    child = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="parents")
    position = models.PositiveIntegerField()
    os = models.CharField(max_length=64, blank=True)
    architecture = models.CharField(max_length=64, blank=True)
    variant = models.CharField(max_length=64, blank=True)
    annotations = models.JSONField(default=dict)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["parent", "position"], name="artifact_reference_unique")
        ]

    def __str__(self) -> str:
        return f"{self.parent_id} -> {self.child_id}"

    @property
    def platform(self) -> str:
        """``linux/arm64/v8``, or nothing."""
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Tag(models.Model):
    """A pointer to an artifact."""

    repository = models.ForeignKey(
        Repository, on_delete=models.PROTECT, related_name="tags", db_index=False
    )
    name = ByteOrderedCharField(max_length=128)
    # Null only between insert-or-ignore and the end of the transaction that made the row.
    artifact = models.ForeignKey(Artifact, on_delete=models.PROTECT, related_name="tags", null=True)
    # Orders 1.10 after 1.9, releases after their candidates.
    sort_key = ByteOrderedCharField(max_length=512)
    pushed_by_id = models.BigIntegerField(null=True, blank=True)
    pushed_by_name = models.CharField(max_length=255)
    pushed_at = models.DateTimeField()

    class Meta:
        ordering = ["-sort_key", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["repository", "name"], name="tag_name_unique")
        ]
        indexes = [
            models.Index(fields=["repository", "sort_key"], name="tag_sort"),
            models.Index(fields=["-pushed_at"], name="tag_recent"),
            models.Index(fields=["name", "-pushed_at"], name="tag_names"),
        ]

    def __str__(self) -> str:
        return self.name


class TagEvent(models.Model):
    """A tag's change; append-only, and no foreign key to what it speaks of."""

    class Action(models.TextChoices):
        PUSH = "push", _("Pushed")
        DELETE = "delete", _("Deleted")
        RESTORE = "restore", _("Restored")
        RETAG = "retag", _("Tagged")

    repository = models.ForeignKey(
        Repository, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    tag = ByteOrderedCharField(max_length=128)
    from_digest = ByteOrderedCharField(max_length=71, blank=True)
    to_digest = ByteOrderedCharField(max_length=71, blank=True)
    action = models.CharField(max_length=16, choices=Action.choices)
    actor_kind = models.CharField(max_length=16)
    actor_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=255)
    address = models.CharField(max_length=64, blank=True)
    client = models.CharField(max_length=255, blank=True)
    # The run that did it, if one did; no foreign key, for runs are forgotten sooner.
    execution_id = models.BigIntegerField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["repository", "tag", "-id"], name="tag_event_history")]

    def __str__(self) -> str:
        return f"{self.tag}: {self.from_digest} -> {self.to_digest}"
