"""What SQLite knows of its tables when it chooses an index; PostgreSQL finds out by itself."""

from django.apps import apps
from django.db import connection, transaction

# Of fewer rows nothing is said: connections that are open keep what they once read, and a table
# known to be small would still be read whole when it no longer is.
FEWEST_ROWS = 10_000
# So many rows of each index are looked at: milliseconds, whatever the size.
_LOOKED_AT = 1_000


def renew() -> int:
    """Count roughly, in every large table, how many rows share a value; return how many tables.

    Does nothing on PostgreSQL.
    """
    if connection.vendor != "sqlite":
        return 0
    renewed = 0
    for model in apps.get_models():
        table = connection.ops.quote_name(model._meta.db_table)
        with connection.cursor() as cursor:
            # Rows are numbered upwards: what is near the highest number needs no counting.
            cursor.execute(f"SELECT max(rowid) FROM {table}")  # noqa: S608 - a model's table
            highest = cursor.fetchone()[0] or 0
        if highest < FEWEST_ROWS:
            continue
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"PRAGMA analysis_limit = {_LOOKED_AT}")
            cursor.execute(f"ANALYZE {table}")
        renewed += 1
    return renewed
