"""Pages of a long list by where they begin: as quick at its end as at its beginning."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from portal.web.paging import SIZES

M = TypeVar("M", bound=Model)
# Nobody reads on so far; to count the rest would take longer than to show the page.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Slice(Generic[M]):
    """Some rows in their order, and where their neighbours begin; empty where there are none."""

    rows: list[M]
    # How many there are; no more than ``MOST`` are counted, and then ``is_partial`` is true.
    total: int
    is_partial: bool
    size: int
    previous: str = ""
    next: str = ""


def slice_of(request: HttpRequest, rows: "QuerySet[M]", order: Sequence[str]) -> Slice[M]:
    """Return the rows after ``?after=`` or before ``?before=``; the first ones otherwise.

    ``order`` names columns, with ``-`` for descending; together they are unique.
    """
    asked = request.GET.get("size", "")
    size = int(asked) if asked in map(str, SIZES) else SIZES[0]
    total, is_partial = counted(rows)
    before = _read(request.GET.get("before", ""), rows.model, order)
    if before:
        found = list(_beyond(rows, _turned(order), before)[: size + 1])
        more, found = len(found) > size, found[:size][::-1]
        if found:
            first = _mark(found[0], order) if more else ""
            return Slice(found, total, is_partial, size, first, _mark(found[-1], order))
    after = _read(request.GET.get("after", ""), rows.model, order)
    found = list((_beyond(rows, order, after) if after else rows.order_by(*order))[: size + 1])
    if after and not found:
        # What was there is gone: begin anew.
        after, found = None, list(rows.order_by(*order)[: size + 1])
    more, found = len(found) > size, found[:size]
    return Slice(
        found,
        total,
        is_partial,
        size,
        _mark(found[0], order) if found and after else "",
        _mark(found[-1], order) if more else "",
    )


def counted(rows: "QuerySet[M]", most: int = MOST) -> tuple[int, bool]:
    """Count rows up to an end; tell whether there are more."""
    total = rows.order_by()[: most + 1].count()
    return min(total, most), total > most


def _turned(order: Sequence[str]) -> list[str]:
    return [name[1:] if name.startswith("-") else f"-{name}" for name in order]


def _beyond(rows: "QuerySet[M]", order: Sequence[str], values: Sequence[Any]) -> "QuerySet[M]":
    """Return the rows behind the one with these values."""
    beyond, same = Q(), Q()
    for name, value in zip(order, values, strict=True):
        column = name.removeprefix("-")
        side = "lt" if name.startswith("-") else "gt"
        beyond |= same & Q(**{f"{column}__{side}": value})
        same &= Q(**{column: value})
    return rows.filter(beyond).order_by(*order)


def _mark(row: Model, order: Sequence[str]) -> str:
    """Write a row's place for an address."""
    values = [str(getattr(row, name.removeprefix("-"))) for name in order]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read(mark: str, model: type[Model], order: Sequence[str]) -> list[Any] | None:
    """Read a place; nothing where it is none."""
    if not mark or len(mark) > 2048:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4)))
        columns = [
            model._meta.pk
            if name.removeprefix("-") == "pk"
            else model._meta.get_field(name.removeprefix("-"))
            for name in order
        ]
        pairs = zip(columns, values, strict=True)
        found = [column.to_python(value) for column, value in pairs]  # type: ignore[union-attr]
    except (ValueError, TypeError, binascii.Error, ValidationError, RecursionError):
        return None
    is_storable = all(not isinstance(value, int) or abs(value) < 2**63 for value in found)
    is_text = all(not isinstance(value, str) or "\0" not in value for value in found)
    return found if is_storable and is_text and None not in found else None
