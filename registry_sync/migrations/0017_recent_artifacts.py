from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry_sync", "0016_pulls"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="artifact",
            index=models.Index(fields=["repository", "-pushed_at", "-id"], name="artifact_recent"),
        ),
    ]
