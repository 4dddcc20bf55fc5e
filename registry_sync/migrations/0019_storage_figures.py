"""What the storage held at a time, and whose it was."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry_sync", "0018_layer_policies")]

    operations = [
        migrations.CreateModel(
            name="StorageSnapshot",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField(unique=True)),
                ("in_use_bytes", models.BigIntegerField()),
                ("trash_bytes", models.BigIntegerField()),
                ("reclaimable_bytes", models.BigIntegerField()),
                ("later_bytes", models.BigIntegerField()),
                ("upload_bytes", models.BigIntegerField()),
                ("unknown_bytes", models.BigIntegerField()),
                ("disk_total", models.BigIntegerField(blank=True, null=True)),
                ("disk_free", models.BigIntegerField(blank=True, null=True)),
            ],
            options={"ordering": ["-at"]},
        ),
        migrations.CreateModel(
            name="ProjectStorage",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="storage",
                        serialize=False,
                        to="accounts.project",
                    ),
                ),
                ("exclusive_bytes", models.BigIntegerField()),
                ("shared_bytes", models.BigIntegerField()),
                ("trash_bytes", models.BigIntegerField()),
            ],
            options={"verbose_name_plural": "project storage"},
        ),
    ]
