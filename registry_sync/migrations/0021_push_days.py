"""Count the pushes of each day."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Counting begins with it."""

    dependencies = [("registry_sync", "0020_replication_pull")]

    operations = [
        migrations.CreateModel(
            name="PushDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("count", models.BigIntegerField(default=0)),
                ("by_robots", models.BigIntegerField(default=0)),
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
                "indexes": [models.Index(fields=["day"], name="push_day_age")],
                "constraints": [
                    models.UniqueConstraint(fields=("repository", "day"), name="push_day_unique")
                ],
            },
        ),
    ]
