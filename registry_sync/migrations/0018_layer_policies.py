"""What projects ask of their images' layers."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """Add layer policies."""

    dependencies = [
        ("accounts", "0009_audit_indexes"),
        ("registry_sync", "0017_recent_artifacts"),
    ]

    operations = [
        migrations.CreateModel(
            name="LayerPolicy",
            fields=[
                (
                    "project",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="layer_policy",
                        serialize=False,
                        to="accounts.project",
                    ),
                ),
                ("least_efficiency", models.PositiveSmallIntegerField(default=0)),
                ("most_wasted_bytes", models.BigIntegerField(default=0)),
                ("forbids_secrets", models.BooleanField(default=False)),
                ("is_enforced", models.BooleanField(default=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
            ],
            options={"verbose_name_plural": "layer policies"},
        ),
    ]
