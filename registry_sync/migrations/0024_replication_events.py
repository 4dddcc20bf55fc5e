import django.db.models.deletion
from django.db import migrations, models


def _id() -> models.BigAutoField:
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("registry_sync", "0023_proxy_cache"),
    ]

    operations = [
        migrations.AddField(
            model_name="replicationpolicy",
            name="is_deleting",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AlterField(
            model_name="replicationpolicy",
            name="trigger",
            field=models.CharField(
                choices=[
                    ("manual", "By hand"),
                    ("scheduled", "By schedule"),
                    ("event_based", "At each push"),
                ],
                default="manual",
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="RegistryCheck",
            fields=[
                ("id", _id()),
                ("at", models.DateTimeField()),
                ("problem", models.CharField(blank=True, max_length=1024)),
                ("took", models.PositiveIntegerField(default=0)),
                (
                    "remote",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="checks",
                        to="registry_sync.remoteregistry",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(fields=["remote", "-id"], name="registry_check_of_remote")
                ],
            },
        ),
        migrations.CreateModel(
            name="ReplicationChange",
            fields=[
                ("id", _id()),
                ("repository_id", models.BigIntegerField()),
                ("tag", models.CharField(blank=True, max_length=128)),
                ("digest", models.CharField(blank=True, max_length=71)),
                ("via", models.CharField(blank=True, max_length=255)),
                ("count", models.PositiveIntegerField(default=1)),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="changes",
                        to="registry_sync.replicationpolicy",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("policy", "repository_id", "tag", "digest"),
                        name="replication_change_unique",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Replica",
            fields=[
                ("id", _id()),
                ("repository_id", models.BigIntegerField()),
                ("tag", models.CharField(max_length=128)),
                ("digest", models.CharField(max_length=71)),
                ("destination", models.CharField(max_length=512)),
                ("at", models.DateTimeField()),
                (
                    "policy",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="replicas",
                        to="registry_sync.replicationpolicy",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("policy", "destination", "tag"), name="replica_unique"
                    )
                ],
                "indexes": [
                    models.Index(fields=["policy", "repository_id", "digest"], name="replica_of")
                ],
            },
        ),
    ]
