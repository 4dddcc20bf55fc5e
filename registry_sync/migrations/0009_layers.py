"""What is read of layers and images."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.models.fields


class Migration(migrations.Migration):
    """Add layer indexes, their frames and images' analyses."""

    dependencies = [("registry_sync", "0008_fewer_indexes")]

    operations = [
        migrations.CreateModel(
            name="LayerIndex",
            fields=[
                (
                    "digest",
                    accounts.models.fields.ByteOrderedCharField(
                        max_length=71, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=1024)),
                ("summary", models.JSONField(default=dict)),
                ("secrets", models.JSONField(default=dict)),
                ("packages", models.JSONField(default=dict)),
                ("table", models.JSONField(default=list)),
                ("took_ms", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
            ],
            options={"verbose_name_plural": "layer indexes"},
        ),
        migrations.CreateModel(
            name="ImageAnalysis",
            fields=[
                (
                    "digest",
                    accounts.models.fields.ByteOrderedCharField(
                        max_length=71, primary_key=True, serialize=False
                    ),
                ),
                ("version", models.PositiveIntegerField(default=0)),
                ("is_urgent", models.BooleanField(default=False)),
                ("requested_at", models.DateTimeField()),
                ("efficiency", models.FloatField(blank=True, null=True)),
                ("wasted_bytes", models.BigIntegerField(blank=True, null=True)),
                ("secret_count", models.PositiveIntegerField(blank=True, null=True)),
                ("result", models.JSONField(default=dict)),
                ("took_ms", models.PositiveIntegerField(default=0)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "image analyses",
                "indexes": [
                    models.Index(
                        condition=models.Q(("version", 0)),
                        fields=["-is_urgent", "requested_at"],
                        name="image_analysis_waiting",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LayerFrame",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                ("data", models.BinaryField()),
                (
                    "layer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="frames",
                        to="registry_sync.layerindex",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("layer", "position"), name="layer_frame_unique")
                ],
            },
        ),
    ]
