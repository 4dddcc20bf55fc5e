from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_configuration"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="rights_epoch",
            field=models.PositiveIntegerField(db_default=0, default=0, editable=False),
        ),
    ]
