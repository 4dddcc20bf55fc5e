from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("registry_sync", "0010_immutable_rules")]

    operations = [
        migrations.CreateModel(
            name="GarbageCounter",
            fields=[
                ("name", models.CharField(max_length=32, primary_key=True, serialize=False)),
                ("count", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="StorageEpoch",
            fields=[
                (
                    "id",
                    models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False),
                ),
                ("current", models.CharField(max_length=32)),
                ("previous", models.CharField(blank=True, max_length=32)),
                ("moved_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="blob",
            name="released_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="blob",
            name="claim_owner",
            field=models.CharField(blank=True, db_default="", default="", max_length=128),
        ),
        migrations.AddField(
            model_name="blob",
            name="claim_token",
            field=models.CharField(blank=True, db_default="", default="", max_length=32),
        ),
        migrations.AddField(
            model_name="blob",
            name="claimed_until",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="blob",
            name="gone_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddIndex(
            model_name="blob",
            index=models.Index(
                condition=models.Q(("state", "live"), _negated=True),
                fields=["state", "digest"],
                name="blob_not_live",
            ),
        ),
    ]
