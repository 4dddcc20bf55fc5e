import django.db.models.deletion
from django.db import migrations, models

_MATCHES = [("matches", "that match"), ("excludes", "that do not match")]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0008_project_in_the_trash"),
        ("registry_sync", "0009_layers"),
    ]

    operations = [
        migrations.CreateModel(
            name="ImmutableRule",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "repository_match",
                    models.CharField(choices=_MATCHES, default="matches", max_length=8),
                ),
                ("repository_pattern", models.CharField(default="**", max_length=255)),
                ("tag_match", models.CharField(choices=_MATCHES, default="matches", max_length=8)),
                ("tag_pattern", models.CharField(max_length=255)),
                ("is_disabled", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "project",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="immutable_rules",
                        to="accounts.project",
                    ),
                ),
            ],
            options={"ordering": ["id"]},
        ),
        migrations.AddConstraint(
            model_name="immutablerule",
            constraint=models.UniqueConstraint(
                fields=(
                    "project",
                    "repository_match",
                    "repository_pattern",
                    "tag_match",
                    "tag_pattern",
                ),
                name="immutable_rule_unique",
            ),
        ),
    ]
