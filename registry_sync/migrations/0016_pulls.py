"""Count pulls, by day and in all."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.models.fields


class Migration(migrations.Migration):
    """Counting begins with it: what was pulled before is not known."""

    dependencies = [("registry_sync", "0015_tag_event_retag")]

    operations = [
        migrations.CreateModel(
            name="PullTotal",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reference",
                    accounts.models.fields.ByteOrderedCharField(blank=True, max_length=128),
                ),
                ("count", models.BigIntegerField(default=0)),
                ("automatic", models.BigIntegerField(default=0)),
                ("pulled_at", models.DateTimeField(blank=True, null=True)),
                ("pulled_by_kind", models.CharField(blank=True, max_length=16)),
                ("pulled_by_name", models.CharField(blank=True, max_length=255)),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry_sync.repository",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "reference"), name="pull_total_unique"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PullDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "reference",
                    accounts.models.fields.ByteOrderedCharField(blank=True, max_length=128),
                ),
                ("day", models.DateField()),
                ("count", models.BigIntegerField(default=0)),
                ("automatic", models.BigIntegerField(default=0)),
                (
                    "repository",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry_sync.repository",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [models.Index(fields=["day"], name="pull_day_age")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("repository", "reference", "day"), name="pull_day_unique"
                    )
                ],
            },
        ),
    ]
