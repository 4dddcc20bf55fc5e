"""Strict reading of query strings: booleans, ``sort`` and Harbor's ``q`` language.

Each endpoint names the fields it answers for; nothing else reaches the database.
"""

import datetime
import re
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from accounts.errors import BadRequest, NotFound

Row = TypeVar("Row", bound=Model)

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MAX_LENGTH = 1024
# One condition of ``q``; commas separate them, and may stand inside a list or quotes.
_CONDITION = re.compile(
    r'(?P<field>\w+)=(?P<value>~?[^,{}\[\]()"]*|[{(\[][^{}\[\]()]*[})\]])(?:,|$)'
)


def boolean(text: str | None, name: str) -> bool | None:
    """Read an optional boolean parameter or header."""
    if text is None or text == "":
        return None
    value = _BOOLEANS.get(text.lower())
    if value is None:
        raise BadRequest(f"{name} must be true or false.", field=name)
    return value


def text(request: Request, name: str) -> str:
    """Read an optional text parameter; empty where it is missing."""
    value = request.query_params.get(name, "")
    if "\0" in value or len(value) > _MAX_LENGTH:
        raise BadRequest(f"{name} is not a usable text.", field=name)
    return value


def ordered(queryset: QuerySet[Row], request: Request, fields: Mapping[str, str]) -> QuerySet[Row]:
    """Apply ``sort=field,-field``; ``fields`` maps the contract's names to ours."""
    wanted = [part.strip() for part in text(request, "sort").split(",") if part.strip()]
    order = []
    for part in wanted:
        sign, name = ("-", part[1:]) if part.startswith("-") else ("", part)
        if name not in fields:
            raise BadRequest(f"sort knows {_listed(fields)} here, not {name!r}.", field="sort")
        order.append(sign + fields[name])
    return queryset.order_by(*order, "pk") if order else queryset


def conditions(request: Request) -> list[tuple[str, str]]:
    """Read ``q=field=value,field=value`` without knowing its fields."""
    found = []
    rest = text(request, "q")
    while rest:
        condition = _CONDITION.match(rest)
        if condition is None:
            raise BadRequest(f"q cannot be understood from {rest!r} on.", field="q")
        found.append((condition["field"], condition["value"]))
        rest = rest[condition.end() :]
    return found


def matching(
    queryset: QuerySet[Row],
    request: Request,
    fields: Mapping[str, str],
    *,
    times: Mapping[str, str] | None = None,
    others: Collection[str] = (),
) -> QuerySet[Row]:
    """Apply ``q=field=exact,field=~part,field={one other}``, and ``time=[from~to]``.

    ``fields`` are texts and ``times`` moments, by the contract's names; ``others`` are names that
    the endpoint reads itself.
    """
    known = [*fields, *(times or {}), *others]
    for name, value in conditions(request):
        if name not in known:
            raise BadRequest(f"q knows {_listed(known)} here, not {name!r}.", field="q")
        if name in fields:
            queryset = queryset.filter(_condition(fields[name], value, name))
        elif times and name in times:
            queryset = queryset.filter(_within(times[name], value, name))
    return queryset


def _condition(field: str, value: str, name: str) -> Q:
    if value.startswith("~"):
        return Q(**{f"{field}__icontains": value[1:]})
    if value.startswith("{"):
        words = [word.strip("\"'") for word in value[1:-1].replace(",", " ").split()]
        return Q(**{f"{field}__in": words})
    if value[:1] in {"[", "("}:
        raise BadRequest(f"q reads no range and no intersection for {name}.", field="q")
    return Q(**{field: value})


def _within(field: str, value: str, name: str) -> Q:
    """Read ``[from~to]``, of which one may be missing, or one moment."""
    if not value.startswith("["):
        return Q(**{field: _moment(value, name)})
    first, separator, last = value[1:-1].partition("~")
    if not separator:
        raise BadRequest(f"q reads {name}=[from~to].", field="q")
    found = Q()
    if first:
        found &= Q(**{f"{field}__gte": _moment(first, name)})
    if last:
        found &= Q(**{f"{field}__lte": _moment(last, name)})
    return found


def _moment(value: str, name: str) -> datetime.datetime:
    try:
        moment = datetime.datetime.fromisoformat(value.strip().strip("\"'"))
        # Far years overflow when they are moved to another zone.
        return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(
            datetime.UTC
        )
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"q reads {name} as 2026-01-31 23:59:59.", field="q") from error


def row_id(number: int) -> int:
    """Return a number from a path, if the database can hold it. Raises ``NotFound``."""
    if number >= 2**63:
        raise NotFound("There is nothing here.")
    return number


def integer(text: str | None, name: str) -> int | None:
    """Read an optional whole number, as ids are."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadRequest(f"{name} must be a whole number.", field=name)
    return int(text)


def _listed(fields: Iterable[str]) -> str:
    return ", ".join(sorted(fields))
