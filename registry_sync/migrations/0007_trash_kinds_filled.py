"""Entries made before there were kinds: those that took artifacts along are artifacts'."""

from django.db import migrations

FILL = """
UPDATE registry_sync_trashentry SET kind = 'artifact' WHERE EXISTS
(SELECT 1 FROM registry_sync_artifact a WHERE a.trash_entry_id = registry_sync_trashentry.id)
"""


class Migration(migrations.Migration):
    """Nothing to take back: the column goes with the migration before."""

    dependencies = [("registry_sync", "0006_trash_kinds")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
