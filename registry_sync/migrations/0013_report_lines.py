"""What runs found and did, line by line."""

import django.db.models.deletion
from django.db import migrations, models

OUTCOMES = [
    ("done", "Done"),
    ("unchanged", "Was there"),
    ("left", "Left out"),
    ("found", "Found"),
    ("repaired", "Repaired"),
]


class Migration(migrations.Migration):
    dependencies = [("registry_sync", "0012_replication")]

    operations = [
        migrations.CreateModel(
            name="ReportLine",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("outcome", models.CharField(choices=OUTCOMES, max_length=16)),
                ("subject_kind", models.CharField(max_length=32)),
                ("subject", models.CharField(max_length=1024)),
                ("reason", models.CharField(blank=True, max_length=1024)),
                ("count", models.PositiveIntegerField(default=1)),
                ("size", models.BigIntegerField(default=0)),
                (
                    "execution",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="report",
                        to="registry_sync.execution",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(fields=["execution", "outcome", "id"], name="report_of_execution")
                ],
            },
        )
    ]
