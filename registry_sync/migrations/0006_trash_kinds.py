"""What kind of deletion an entry is, what it took along, and which run did it."""

from django.db import migrations, models

import accounts.models.fields

KINDS = [("tag", "Tag"), ("artifact", "Image"), ("repository", "Repository")]
ACTIONS = [("push", "Pushed"), ("delete", "Deleted"), ("restore", "Restored")]


class Migration(migrations.Migration):
    """Columns with defaults in the database: the version that is running does not know them."""

    dependencies = [("registry_sync", "0005_artifact_labels")]

    operations = [
        migrations.AddField(
            model_name="trashentry",
            name="kind",
            field=models.CharField(choices=KINDS, db_default="tag", default="tag", max_length=16),
        ),
        migrations.AddField(
            model_name="trashentry",
            name="tag_count",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="trashentry",
            name="artifact_count",
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="trashentry",
            name="freed_bytes",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="trashentry",
            name="execution_id",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="trashentry",
            name="ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="trashentry",
            name="digest",
            field=accounts.models.fields.ByteOrderedCharField(blank=True, max_length=71),
        ),
        migrations.AddIndex(
            model_name="trashentry",
            index=models.Index(fields=["repository", "state", "-id"], name="trash_of_repository"),
        ),
        migrations.AddIndex(
            model_name="trashentry",
            index=models.Index(
                condition=models.Q(("execution_id__isnull", False)),
                fields=["execution_id", "id"],
                name="trash_of_execution",
            ),
        ),
        migrations.AddField(
            model_name="tagevent",
            name="execution_id",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="tagevent",
            name="action",
            field=models.CharField(choices=ACTIONS, max_length=16),
        ),
    ]
