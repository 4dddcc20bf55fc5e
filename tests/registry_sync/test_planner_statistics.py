"""SQLite is told how its large tables look."""

import pytest
from django.db import connection

from registry_sync import planner_statistics
from registry_sync.models import Tag
from tests.conftest import Cast
from tests.factories import make_image, make_repository, push_image

pytestmark = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL does this by itself"
)


def _known() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'")
        if cursor.fetchone() is None:
            return set()
        cursor.execute("SELECT DISTINCT tbl FROM sqlite_stat1")
        return {table for (table,) in cursor.fetchall()}


def test_small_tables_are_left_alone(cast: Cast) -> None:
    push_image(make_repository(cast.team), make_image(), "1")
    assert planner_statistics.renew() == 0
    assert Tag._meta.db_table not in _known()


def test_large_ones_are_known(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_repository(cast.team)
    for number in range(3):
        push_image(app, make_image(), str(number))
    monkeypatch.setattr(planner_statistics, "FEWEST_ROWS", Tag.objects.latest("pk").pk)
    assert planner_statistics.renew() > 0
    assert Tag._meta.db_table in _known()
    # Again, as every hour.
    assert planner_statistics.renew() > 0
