"""Writing thousands of rows at once: COPY on PostgreSQL, statements of many rows on SQLite.

Everything is part of the caller's transaction.
"""

import datetime
import io
from collections.abc import Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from accounts import statements

Row = tuple[Any, ...]
# SQLite takes 32 766 parameters in one statement.
_PARAMETERS = 30_000
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def append(model: type[models.Model], names: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows none of which can be there; a column that is not named gets its default."""
    if not rows:
        return
    if connection.vendor != "postgresql":
        _in_pieces(model, names, rows, "")
        return
    all_names, defaults = _completed(model, names)
    _copy(model._meta.db_table, _columns(model, all_names), [row + defaults for row in rows])


def merge(
    model: type[models.Model], names: tuple[str, ...], rows: Sequence[Row], tail: str
) -> list[Row]:
    """Insert rows of which some may be there: ``tail`` is ``ON CONFLICT …`` and ``RETURNING …``.

    The rows are written in their order: whoever writes the same ones must use the same.
    """
    if not rows:
        return []
    if connection.vendor != "postgresql":
        return _in_pieces(model, names, rows, tail)
    all_names, defaults = _completed(model, names)
    table, columns = model._meta.db_table, _columns(model, all_names)
    stage = f"stage_{table}"
    listed = ", ".join(columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {stage} ON COMMIT DROP AS "  # noqa: S608 - ours
            f"SELECT {listed} FROM {table} WITH NO DATA"
        )
        cursor.execute(f"TRUNCATE {stage}")
        _copy(stage, columns, [row + defaults for row in rows])
        cursor.execute(
            f"INSERT INTO {table} ({listed}) SELECT {listed} FROM {stage} {tail}"  # noqa: S608
        )
        return list(cursor.fetchall()) if cursor.description else []


def _in_pieces(
    model: type[models.Model], names: tuple[str, ...], rows: Sequence[Row], tail: str
) -> list[Row]:
    width = len(model._meta.concrete_fields)
    step = max(1, _PARAMETERS // width)
    found: list[Row] = []
    for start in range(0, len(rows), step):
        piece = [tuple(_plain(value) for value in row) for row in rows[start : start + step]]
        found += statements.run(statements.insert_values(model, names, piece, tail))
    return found


def _plain(value: Any) -> Any:
    return statements.moment(value) if isinstance(value, datetime.datetime) else value


def _completed(model: type[models.Model], names: tuple[str, ...]) -> tuple[tuple[str, ...], Row]:
    """Return all columns to be written, and the values of those that were not named."""
    here = connections[DEFAULT_DB_ALIAS]
    others = [
        field
        for field in model._meta.concrete_fields
        if field.attname not in names
        and field is not model._meta.auto_field
        and not field.has_db_default()
    ]
    defaults = tuple(field.get_db_prep_save(field.get_default(), here) for field in others)
    return (*names, *(field.attname for field in others)), defaults


def _columns(model: type[models.Model], names: tuple[str, ...]) -> list[str]:
    by_name = {field.attname: field.column for field in model._meta.concrete_fields}
    return [f'"{by_name[name]}"' for name in names]


def _copy(table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
    """PostgreSQL's COPY, in its text format; written column by column, which costs a third."""
    texts = [_texts(values) for values in zip(*rows, strict=True)]
    lines = map("\t".join, zip(*texts, strict=True))
    with connection.cursor() as cursor:
        cursor.copy_expert(
            f"COPY {table} ({', '.join(columns)}) FROM STDIN",
            io.StringIO("\n".join(lines) + "\n"),
        )


def _texts(values: tuple[Any, ...]) -> Sequence[str]:
    """Write the values of one column."""
    kinds = set(map(type, values))
    if kinds == {int}:
        return list(map(str, values))
    if kinds == {str}:
        return values if _is_plain("".join(values)) else [_text(value) for value in values]
    if len({id(value) for value in values}) == 1:
        return [_text(values[0])] * len(values)
    return [_text(value) for value in values]


def _is_plain(text: str) -> bool:
    return not any(sign in text for sign in "\\\t\n\r")


def _text(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, bytes | memoryview):
        return f"\\\\x{bytes(value).hex()}"
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return str(value).translate(_ESCAPES)
