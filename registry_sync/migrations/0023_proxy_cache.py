import django.db.models.deletion
from django.db import migrations, models

import accounts.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0010_project_is_proxy"),
        ("registry_sync", "0022_home_pins"),
    ]

    operations = [
        migrations.CreateModel(
            name="UpstreamState",
            fields=[
                (
                    "remote",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="upstream_state",
                        serialize=False,
                        to="registry_sync.remoteregistry",
                    ),
                ),
                ("rate_limit", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_remaining", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_window", models.PositiveIntegerField(blank=True, null=True)),
                ("rate_at", models.DateTimeField(blank=True, null=True)),
                ("blocked_until", models.DateTimeField(blank=True, null=True)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.CharField(blank=True, max_length=512)),
                ("failed_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.AddField(
            model_name="artifact",
            name="is_complete",
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.CreateModel(
            name="ProxyCache",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="proxy_cache",
                        serialize=False,
                        to="accounts.project",
                    ),
                ),
                ("speed_limit", models.PositiveIntegerField(default=0)),
                ("max_connections", models.PositiveIntegerField(default=0)),
                ("pattern", models.CharField(blank=True, max_length=512)),
                ("serves_removed", models.BooleanField(default=False)),
                ("asks_referrers", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "remote",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="proxy_caches",
                        to="registry_sync.remoteregistry",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AbsentPart",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", accounts.models.fields.ByteOrderedCharField(max_length=71)),
                ("position", models.PositiveIntegerField()),
                ("is_manifest", models.BooleanField()),
                ("size", models.BigIntegerField()),
                (
                    "artifact",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="absent_parts",
                        to="registry_sync.artifact",
                    ),
                ),
            ],
            options={
                "ordering": ["position"],
                "indexes": [models.Index(fields=["digest"], name="absent_part_digest")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("artifact", "position"), name="absent_part_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="BlobFetch",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("digest", accounts.models.fields.ByteOrderedCharField(max_length=71)),
                ("fencing_token", models.BigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("wanted_at", models.DateTimeField()),
                (
                    "repository",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry_sync.repository",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "blob fetches",
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "digest"), name="blob_fetch_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProxyCheck",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("path", accounts.models.fields.ByteOrderedCharField(max_length=255)),
                ("reference", accounts.models.fields.ByteOrderedCharField(max_length=128)),
                ("digest", accounts.models.fields.ByteOrderedCharField(blank=True, max_length=71)),
                ("checked_at", models.DateTimeField()),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.project",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [models.Index(fields=["checked_at"], name="proxy_check_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "path", "reference"), name="proxy_check_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProxyDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("hits", models.BigIntegerField(default=0)),
                ("misses", models.BigIntegerField(default=0)),
                ("hit_bytes", models.BigIntegerField(default=0)),
                ("fetched_bytes", models.BigIntegerField(default=0)),
                ("upstream_requests", models.BigIntegerField(default=0)),
                ("upstream_errors", models.BigIntegerField(default=0)),
                ("stale", models.BigIntegerField(default=0)),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.project",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(fields=("project", "day"), name="proxy_day_unique")
                ],
            },
        ),
    ]
