"""A repository's images are counted by an index alone."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """The index by subject takes up what decides whether an image stands for itself."""

    dependencies = [
        ("registry_sync", "0027_claims_and_unreferenced"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="artifact", name="artifact_subject"),
        migrations.AddIndex(
            model_name="artifact",
            index=models.Index(
                fields=["repository", "subject_digest", "trash_entry", "kind"],
                name="artifact_subject",
            ),
        ),
    ]
