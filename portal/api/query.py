"""Strict reading of query strings: booleans, ``sort`` and Harbor's ``q`` language.

Each endpoint names the fields it answers for; nothing else reaches the database.
"""

import datetime
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from accounts.errors import BadRequest, NotFound

Row = TypeVar("Row", bound=Model)

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MAX_LENGTH = 1024
# Reads one value of a field by its name, or raises.
_Reader = Callable[[str, str], object]
_WORD = re.compile(r"""\"[^"]*\"|'[^']*'|[^\s,"']+""")
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
    numbers: Mapping[str, str] | None = None,
    others: Collection[str] = (),
) -> QuerySet[Row]:
    """Apply ``q`` by the language of the contract.

    ``name=exact``, ``name=~part``, ``name={one other}`` (any of them), ``name=(~some ~more)`` (all
    of them), ``size=[1~10]`` (from, to, or both; not for texts).

    ``fields`` are texts, ``times`` moments and ``numbers`` whole numbers, by the contract's names;
    ``others`` are names that the endpoint reads itself. Raises ``BadRequest`` for what is none of
    these.
    """
    kinds: list[tuple[Mapping[str, str], _Reader]] = [
        (fields, _text),
        (times or {}, _moment),
        (numbers or {}, _number),
    ]
    known = [*(name for names, _reader in kinds for name in names), *others]
    for name, value in conditions(request):
        if name not in known:
            raise BadRequest(f"q knows {_listed(known)} here, not {name!r}.", field="q")
        for names, reader in kinds:
            if name in names:
                queryset = queryset.filter(_condition(names[name], value, name, reader))
    return queryset


def words_of(value: str) -> list[str]:
    """Return what stands in a list, between its brackets: words, or texts in quotes."""
    return [word[1:-1] if word[0] in "\"'" else word for word in _WORD.findall(value[1:-1])]


def _condition(field: str, value: str, name: str, read: _Reader) -> Q:
    if value.startswith("["):
        return _range(field, value, name, read)
    if value[:1] not in {"{", "("}:
        return _single(field, value, name, read)
    words = words_of(value)
    if not words:
        raise BadRequest(f"q has an empty list for {name}.", field="q")
    found = Q()
    for word in words:
        one = _single(field, word, name, read)
        found = found | one if value[0] == "{" else found & one
    return found


def _single(field: str, value: str, name: str, read: _Reader) -> Q:
    if value.startswith("~"):
        if read is not _text:
            raise BadRequest(f"q looks for parts of texts, and {name} is none.", field="q")
        return Q(**{f"{field}__icontains": value[1:]})
    return Q(**{field: read(value, name)})


def _range(field: str, value: str, name: str, read: _Reader) -> Q:
    """Read ``[from~to]``, of which one may be missing."""
    if read is _text:
        raise BadRequest(f"q reads no range of {name}, which is a text.", field="q")
    first, separator, last = value[1:-1].partition("~")
    if not separator:
        raise BadRequest(f"q reads {name}=[from~to].", field="q")
    found = Q()
    if first:
        found &= Q(**{f"{field}__gte": read(first, name)})
    if last:
        found &= Q(**{f"{field}__lte": read(last, name)})
    return found


def _text(value: str, name: str) -> str:
    return value


def _number(value: str, name: str) -> int:
    number = integer(value.strip(), name)
    if number is None:
        raise BadRequest(f"{name} must be a whole number.", field="q")
    return number


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
