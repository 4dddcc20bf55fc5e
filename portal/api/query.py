"""Strict reading of query strings: booleans, ``sort`` and Harbor's ``q`` language.

Each endpoint names the fields it answers for; nothing else reaches the database.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from accounts.errors import BadRequest

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


def matching(queryset: QuerySet[Row], request: Request, fields: Mapping[str, str]) -> QuerySet[Row]:
    """Apply ``q=field=exact,field=~part,field={one other}``."""
    rest = text(request, "q")
    while rest:
        condition = _CONDITION.match(rest)
        if condition is None:
            raise BadRequest(f"q cannot be understood from {rest!r} on.", field="q")
        name = condition["field"]
        if name not in fields:
            raise BadRequest(f"q knows {_listed(fields)} here, not {name!r}.", field="q")
        queryset = queryset.filter(_condition(fields[name], condition["value"], name))
        rest = rest[condition.end() :]
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


def _listed(fields: Mapping[str, str]) -> str:
    return ", ".join(sorted(fields))
