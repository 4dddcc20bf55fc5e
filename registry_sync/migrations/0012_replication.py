import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry_sync", "0011_collection"),
    ]

    operations = [
        migrations.CreateModel(
            name="RemoteRegistry",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=128, unique=True)),
                ("description", models.CharField(blank=True, max_length=1024)),
                ("kind", models.CharField(max_length=32)),
                ("url", models.CharField(max_length=512)),
                ("username", models.CharField(blank=True, max_length=4096)),
                ("sealed_password", models.TextField(blank=True)),
                ("is_insecure", models.BooleanField(default=False)),
                ("ca_certificate", models.TextField(blank=True)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("unknown", "Not asked yet"),
                            ("healthy", "Answers"),
                            ("unhealthy", "Does not answer"),
                        ],
                        default="unknown",
                        max_length=16,
                    ),
                ),
                ("problem", models.CharField(blank=True, max_length=1024)),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name_plural": "remote registries",
                "ordering": ["name"],
            },
        ),
        migrations.CreateModel(
            name="ReplicationPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=128, unique=True)),
                ("description", models.CharField(blank=True, max_length=1024)),
                ("filters", models.JSONField(default=list)),
                ("namespace", models.CharField(blank=True, max_length=255)),
                ("replaced_components", models.SmallIntegerField(default=-1)),
                (
                    "trigger",
                    models.CharField(
                        choices=[("manual", "By hand"), ("scheduled", "By schedule")],
                        default="manual",
                        max_length=16,
                    ),
                ),
                ("cron", models.CharField(blank=True, max_length=128)),
                ("is_enabled", models.BooleanField(default=True)),
                ("is_overriding", models.BooleanField(default=True)),
                ("is_chunked", models.BooleanField(default=False)),
                ("speed_limit", models.PositiveIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "remote",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="policies",
                        to="registry_sync.remoteregistry",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "replication policies",
                "ordering": ["name"],
            },
        ),
    ]
