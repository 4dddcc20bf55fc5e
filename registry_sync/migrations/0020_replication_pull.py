from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry_sync", "0019_storage_figures"),
    ]

    operations = [
        migrations.AddField(
            model_name="replicationpolicy",
            name="is_pull",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
