"""Retention: policies, what runs came to, what runs in clusters, pinned tags."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.models.fields


class Migration(migrations.Migration):
    """Four new tables."""

    dependencies = [
        ("accounts", "0008_project_in_the_trash"),
        ("registry_sync", "0013_report_lines"),
    ]

    operations = [
        migrations.CreateModel(
            name="RetentionPolicy",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention",
                        to="accounts.project",
                    ),
                ),
                ("rules", models.JSONField(default=list)),
                ("is_harbor", models.BooleanField(default=False)),
                ("keep_latest", models.BooleanField(default=False)),
                ("keep_pulled_days", models.PositiveIntegerField(default=0)),
                ("version", models.PositiveIntegerField(default=1)),
                ("confirmed_version", models.PositiveIntegerField(default=0)),
                ("confirmed_percent", models.PositiveSmallIntegerField(default=0)),
                ("confirmed_empties", models.BooleanField(default=False)),
                ("warned_slot", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={
                "verbose_name_plural": "retention policies",
                "constraints": [],
            },
        ),
        migrations.CreateModel(
            name="RetentionOutcome",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "execution",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention",
                        to="registry_sync.execution",
                    ),
                ),
                ("repository_id", models.BigIntegerField()),
                ("path", accounts.models.fields.ByteOrderedCharField(max_length=255)),
                ("total", models.PositiveIntegerField()),
                ("retained", models.PositiveIntegerField()),
                ("removed_tags", models.PositiveIntegerField(default=0)),
                ("freed_bytes", models.BigIntegerField(default=0)),
                ("by_rule", models.JSONField(default=dict)),
                ("removals", models.JSONField(default=list)),
                ("is_done", models.BooleanField(default=False)),
                ("started_at", models.DateTimeField()),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("execution", "repository_id"), name="retention_outcome_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DigestInUse",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="accounts.project",
                    ),
                ),
                ("digest", accounts.models.fields.ByteOrderedCharField(max_length=71)),
                ("place", models.CharField(max_length=255)),
                ("workload", models.CharField(blank=True, max_length=512)),
                ("reported_by", models.CharField(max_length=255)),
                ("reported_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "digests in use",
                "ordering": ["place", "workload"],
                "indexes": [models.Index(fields=["expires_at"], name="digest_in_use_expiry")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "digest", "place", "workload"),
                        name="digest_in_use_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TagPin",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "repository",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="pins",
                        to="registry_sync.repository",
                    ),
                ),
                ("name", accounts.models.fields.ByteOrderedCharField(max_length=128)),
                ("pinned_by", models.CharField(max_length=255)),
                ("pinned_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "name"), name="tag_pin_unique")
                ],
            },
        ),
    ]
