"""SQL by hand for the hot paths: rows of models as values, several statements in one round trip.

Building a query costs the ORM more than the database needs to run it; a push of forty queries, or
a token, would be mostly that. Everything here reads the models' fields, so that a column added to
one of them is written with its default.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from django.db import DEFAULT_DB_ALIAS, connection, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models.expressions import DatabaseDefault


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its parameters, marked ``%s``."""

    sql: str
    parameters: Sequence[Any] = ()


def run(*statements: Statement) -> list[tuple[Any, ...]]:
    """Run the statements in their order and return the rows of the last.

    PostgreSQL is told all of them at once (each has a snapshot of its own all the same) and plans
    them once per connection; SQLite has no round trips to save, and its driver keeps the plans. A
    literal percent sign must be doubled.
    """
    here = connections[DEFAULT_DB_ALIAS]
    with here.cursor() as cursor:
        if here.vendor == "postgresql":
            parameters = [value for statement in statements for value in statement.parameters]
            parts = [_prepared(here, cursor, statement) for statement in statements]
            cursor.execute(";\n".join(parts), parameters)
        else:
            for statement in statements:
                cursor.execute(statement.sql, statement.parameters)
        return list(cursor.fetchall()) if cursor.description else []


def run_once(*statements: Statement) -> list[tuple[Any, ...]]:
    """Run statements that hardly come again as they are; keep no plan of them."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement.sql, statement.parameters)
        return list(cursor.fetchall()) if cursor.description else []


# What each connection has prepared: each of our SQL texts with the name it has there.
_known: "WeakKeyDictionary[Any, dict[str, str]]" = WeakKeyDictionary()
# Beyond these a plan would be kept for what hardly comes again (a manifest of 300 layers).
_MAX_PARAMETERS = 250
_MAX_PREPARED = 100


def _prepared(here: BaseDatabaseWrapper, cursor: CursorWrapper, statement: Statement) -> str:
    """``EXECUTE name (…)`` for the statement, prepared where it was not; or itself."""
    sql, count = statement.sql, len(statement.parameters)
    if count > _MAX_PARAMETERS:
        return sql
    known = _known.setdefault(here.connection, {})
    name = known.get(sql)
    if name is None:
        if len(known) >= _MAX_PREPARED:
            return sql
        name = f"moorage_{len(known)}"
        first, *others = sql.split("%s")
        numbered = first + "".join(f"${n}{part}" for n, part in enumerate(others, start=1))
        # No rollback takes it back.
        cursor.execute(f"PREPARE {name} AS {numbered.replace('%%', '%')}")
        known[sql] = name
    return f"EXECUTE {name} ({marks(statement.parameters)})" if count else f"EXECUTE {name}"


def marks(values: Sequence[object]) -> str:
    """``%s, %s, …``: what stands in ``IN (…)`` for these values, of which there is at least one."""
    return ", ".join(["%s"] * len(values))


def moment(at: datetime.datetime) -> Any:
    """Return a time as the database's driver takes it."""
    return connection.ops.adapt_datetimefield_value(at)


def lock_clause() -> str:
    """What makes a SELECT lock its rows, where the database has such locks.

    On SQLite the transaction holds the one write lock from its beginning.
    """
    return " FOR NO KEY UPDATE" if connection.features.has_select_for_update else ""


def insert(rows: Iterable[models.Model], tail: str = "") -> Statement:
    """Insert rows of one model, at least one; ``tail`` is what follows ``VALUES (…)``."""
    given = list(rows)
    model = type(given[0])
    omitted = frozenset(
        field.attname
        for field in model._meta.concrete_fields
        if isinstance(getattr(given[0], field.attname), DatabaseDefault)
    )
    fields = _fields(model, omitted)
    here = connections[DEFAULT_DB_ALIAS]
    parameters = [
        field.get_db_prep_save(field.pre_save(row, True), here)  # noqa: FBT003 - Django's
        for row in given
        for field in fields
    ]
    return _inserted(model, fields, len(given), parameters, tail)


def insert_values(
    model: type[models.Model],
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
    tail: str = "",
) -> Statement:
    """Insert many small rows, at least one: the named columns' values as the driver takes them.

    A column that is not named gets its field's default.
    """
    fields = _fields(model, frozenset())
    here = connections[DEFAULT_DB_ALIAS]
    by_name = {field.attname: field for field in fields}
    named = tuple(by_name.pop(name) for name in names)
    others = tuple(field for field in by_name.values() if not field.has_db_default())
    rest = tuple(field.get_db_prep_save(field.get_default(), here) for field in others)
    parameters = [value for row in rows for value in row + rest]
    return _inserted(model, named + others, len(rows), parameters, tail)


Fields = tuple["models.Field[Any, Any]", ...]


@lru_cache(maxsize=256)
def _fields(model: type[models.Model], omitted: frozenset[str]) -> Fields:
    """What is written of a row."""
    return tuple(
        field
        for field in model._meta.concrete_fields
        if field is not model._meta.auto_field and field.attname not in omitted
    )


def _inserted(
    model: type[models.Model], fields: Fields, count: int, parameters: list[Any], tail: str
) -> Statement:
    return Statement(f"{_insertion(model, fields, count)} {tail}", parameters)


@lru_cache(maxsize=1024)
def _insertion(model: type[models.Model], fields: Fields, count: int) -> str:
    """``INSERT INTO table (columns) VALUES (…), …``: names of our own models, values as marks."""
    columns = ", ".join(f'"{field.column}"' for field in fields)
    values = ", ".join([f"({marks(fields)})"] * count)
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES {values}'  # noqa: S608
