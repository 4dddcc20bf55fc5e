import django.db.models.deletion
from django.db import migrations, models

import accounts.models.fields


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_user_rights_epoch"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProjectAlias",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", accounts.models.fields.ByteOrderedCharField(max_length=255, unique=True)),
                ("expires_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="aliases",
                        to="accounts.project",
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
            },
        ),
    ]
