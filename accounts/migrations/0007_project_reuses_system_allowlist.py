from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_project_alias"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="reuses_system_allowlist",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="Tolerate what the system tolerates"
            ),
        ),
    ]
