from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0009_audit_indexes"),
    ]

    operations = [
        migrations.AddField(
            model_name="project",
            name="is_proxy",
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
    ]
