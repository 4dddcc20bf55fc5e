"""When a removal began; what lies in a project that no image uses."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Nothing is known of what is being removed just now, nor counted yet."""

    dependencies = [
        ("registry_sync", "0026_settled_blobs"),
    ]

    operations = [
        migrations.AddField(
            model_name="blob",
            name="claimed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="projectusage",
            name="unreferenced_bytes",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name="projectusage",
            name="unreferenced_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
