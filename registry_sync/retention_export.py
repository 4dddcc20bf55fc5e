"""Verdicts as a table for spreadsheets, or as JSON, a line each; streamed."""

import csv
import json
from collections.abc import Iterable, Iterator
from typing import Any

from registry_sync.retention_preview import Row

COLUMNS = ("repository", "tag", "digest", "verdict", "rule", "reason", "why", "pushed_at")
# What a spreadsheet would take for a formula when it stands first in a cell.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Echo:
    """Gives each line back that a writer writes."""

    def write(self, line: str) -> str:
        """Return it."""
        return line


def csv_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Write a table; no cell is taken for a formula."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        shown = _shown(row)
        yield writer.writerow([_cell(shown[column]) for column in COLUMNS])


def json_lines(rows: Iterable[Row]) -> Iterator[str]:
    """Write an object a line."""
    for row in rows:
        yield json.dumps(_shown(row)) + "\n"


def _shown(row: Row) -> dict[str, Any]:
    return {
        "repository": row.repository,
        "tag": row.tag,
        "digest": row.digest,
        "verdict": "keep" if row.is_kept else "remove",
        "rule": row.rule,
        "reason": row.reason,
        "why": row.why,
        "pushed_at": row.pushed_at.isoformat().replace("+00:00", "Z"),
    }


def _cell(value: object) -> str:
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
