from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("registry_sync", "0014_retention"),
    ]

    operations = [
        migrations.AlterField(
            model_name="tagevent",
            name="action",
            field=models.CharField(
                choices=[
                    ("push", "Pushed"),
                    ("delete", "Deleted"),
                    ("restore", "Restored"),
                    ("retag", "Tagged"),
                ],
                max_length=16,
            ),
        ),
    ]
