"""Until when a deleted project can be restored."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """Two empty columns: a project deleted before has no promise, and is purged."""

    dependencies = [("accounts", "0007_project_reuses_system_allowlist")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="purge_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="project",
            name="purged_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
