"""How people want their pages."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The database knows the defaults too: the version before adds users without them."""

    dependencies = [
        ("accounts", "0010_project_is_proxy"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="time_zone",
            field=models.CharField(
                blank=True, db_default="", default="", max_length=64, verbose_name="Time zone"
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="date_format",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "How long ago: 3 hours ago"),
                    ("iso", "Year first: 2026-11-24 13:40"),
                    ("day", "Day first: 24/11/2026 13:40"),
                    ("month", "Month first: 11/24/2026 1:40 p.m."),
                    ("words", "In words, as the language has it"),
                ],
                db_default="",
                default="",
                max_length=8,
                verbose_name="Dates",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="client",
            field=models.CharField(
                blank=True,
                choices=[("", "docker"), ("podman", "podman"), ("nerdctl", "nerdctl")],
                db_default="",
                default="",
                max_length=16,
                verbose_name="Client",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="has_shortcuts",
            field=models.BooleanField(
                db_default=True, default=True, verbose_name="Keyboard shortcuts"
            ),
        ),
    ]
