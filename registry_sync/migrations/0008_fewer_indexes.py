"""Drop the indexes that another one covers: a push wrote each of them for every layer."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# On PostgreSQL Django gives each indexed text a second index for LIKE, of no use to one that is
# compared byte by byte anyway.
TABLES = (
    "registry_sync_artifact",
    "registry_sync_artifactblob",
    "registry_sync_blob",
    "registry_sync_manifestbody",
)
LIKE_INDEXES = """
SELECT indexname FROM pg_indexes
WHERE schemaname = current_schema() AND tablename = ANY(%s) AND indexname LIKE %s
"""


def drop_like_indexes(_apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Drop those of the columns that hold digests."""
    if editor.connection.vendor != "postgresql":
        return
    with editor.connection.cursor() as cursor:
        cursor.execute(LIKE_INDEXES, [list(TABLES), r"%\_like"])
        names = [name for (name,) in cursor.fetchall()]
    for name in names:
        editor.execute(f"DROP INDEX {editor.quote_name(name)}")


def covered(to: str, related_name: str) -> "models.ForeignKey[models.Model, models.Model]":
    """A foreign key without an index of its own."""
    return models.ForeignKey(
        db_index=False,
        on_delete=django.db.models.deletion.PROTECT,
        related_name=related_name,
        to=to,
    )


def owned(related_name: str) -> "models.ForeignKey[models.Model, models.Model]":
    """The same of what goes with its artifact."""
    return models.ForeignKey(
        db_index=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name=related_name,
        to="registry_sync.artifact",
    )


REPOSITORY = "registry_sync.repository"


class Migration(migrations.Migration):
    """Back: each foreign key has an index again; the ones for LIKE stay away."""

    dependencies = [("registry_sync", "0007_trash_kinds_filled")]

    operations = [
        migrations.AlterField("repository", "project", covered("accounts.project", "repositories")),
        migrations.AlterField("projectblob", "project", covered("accounts.project", "+")),
        migrations.AlterField("artifact", "repository", covered(REPOSITORY, "artifacts")),
        migrations.AlterField("repositoryblob", "repository", covered(REPOSITORY, "blobs")),
        migrations.AlterField("tag", "repository", covered(REPOSITORY, "tags")),
        migrations.AlterField("tagevent", "repository", covered(REPOSITORY, "+")),
        migrations.AlterField("artifactreference", "parent", owned("references")),
        migrations.AlterField("artifactblob", "artifact", owned("blobs")),
        migrations.RunPython(drop_like_indexes, migrations.RunPython.noop),
    ]
