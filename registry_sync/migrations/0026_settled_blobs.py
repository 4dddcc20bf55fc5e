"""Marks of what collection need not look at again, and indexes of the rest."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Nothing is marked at first: the next collection looks at everything once."""

    dependencies = [
        ("registry_sync", "0025_tag_names"),
    ]

    operations = [
        migrations.AddField(
            model_name="blob",
            name="is_settled",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="repositoryblob",
            name="is_settled",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name="blob",
            index=models.Index(
                condition=models.Q(state="live", is_settled=False),
                fields=["digest"],
                name="blob_unsettled",
            ),
        ),
        migrations.AddIndex(
            model_name="repositoryblob",
            index=models.Index(
                condition=models.Q(is_settled=False),
                fields=["id"],
                name="repository_blob_unsettled",
            ),
        ),
    ]
