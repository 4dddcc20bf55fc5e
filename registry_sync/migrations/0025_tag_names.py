"""An index of all tags by name, for search."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The newest of each name come first."""

    dependencies = [
        ("registry_sync", "0024_replication_events"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="tag",
            index=models.Index(fields=["name", "-pushed_at"], name="tag_names"),
        ),
    ]
