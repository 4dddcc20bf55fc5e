"""What was read of layers and images; it can be made anew from their bytes at any time."""

from django.db import models

from accounts.models.fields import ByteOrderedCharField


class LayerIndex(models.Model):
    """One layer's contents, read once for all images that share it."""

    digest = ByteOrderedCharField(max_length=71, primary_key=True)
    # The reader's version.
    version = models.PositiveIntegerField(default=0)
    # Why it cannot be read; empty where it was.
    error = models.CharField(max_length=1024, blank=True)
    # Counts and bytes, as the reader sums them up.
    summary = models.JSONField(default=dict)
    # Path → kind of secret.
    secrets = models.JSONField(default=dict)
    # Path of a package database → [ecosystem, name, version] of each package in it.
    packages = models.JSONField(default=dict)
    # [first directory, last directory] of each frame, in order.
    table = models.JSONField(default=list)
    took_ms = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "layer indexes"

    def __str__(self) -> str:
        return self.digest


class LayerFrame(models.Model):
    """About a thousand of a layer's entries, compressed."""

    layer = models.ForeignKey(LayerIndex, on_delete=models.CASCADE, related_name="frames")
    position = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["layer", "position"], name="layer_frame_unique")
        ]

    def __str__(self) -> str:
        return f"{self.layer_id}[{self.position}]"


class ImageAnalysis(models.Model):
    """What an image's layers amount to; waiting rows are the queue of the job that fills them."""

    digest = ByteOrderedCharField(max_length=71, primary_key=True)
    # The version of reader and analysis that made the result; 0 while it waits.
    version = models.PositiveIntegerField(default=0)
    # Somebody looks at the page: before what was only pushed.
    is_urgent = models.BooleanField(default=False)
    requested_at = models.DateTimeField()
    efficiency = models.FloatField(null=True, blank=True)
    wasted_bytes = models.BigIntegerField(null=True, blank=True)
    secret_count = models.PositiveIntegerField(null=True, blank=True)
    result = models.JSONField(default=dict)
    took_ms = models.PositiveIntegerField(default=0)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "image analyses"
        indexes = [
            models.Index(
                fields=["-is_urgent", "requested_at"],
                condition=models.Q(version=0),
                name="image_analysis_waiting",
            )
        ]

    def __str__(self) -> str:
        return self.digest

    @property
    def percent(self) -> int:
        """Its efficiency; rounded down, for nearly everything is not everything."""
        return int(100 * (self.efficiency or 0))


class LayerPolicy(models.Model):
    """What a project asks of its images' layers; 0 asks nothing."""

    project = models.OneToOneField(
        "accounts.Project", on_delete=models.CASCADE, primary_key=True, related_name="layer_policy"
    )
    # Live bytes of all bytes, in per cent.
    least_efficiency = models.PositiveSmallIntegerField(default=0)
    most_wasted_bytes = models.BigIntegerField(default=0)
    forbids_secrets = models.BooleanField(default=False)
    # Refuse the push; else only say so on pages.
    is_enforced = models.BooleanField(default=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "layer policies"

    def __str__(self) -> str:
        return f"{self.project_id}: {self.least_efficiency} %"
