"""Lists: ``page``, ``page_size``, ``X-Total-Count`` and ``Link``, as the contract has them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from accounts.errors import BadRequest

DEFAULT_PAGE_SIZE = 10
MAXIMUM_PAGE_SIZE = 100
# Up to so many rows a total is exact.
COUNTED = 10_000
# Beyond it an offset would overflow the database's integers long before it found a row.
MAXIMUM_PAGE = 10**9

Row = TypeVar("Row", bound=Model)


def listed(
    form: type[Serializer[Any]], rows: Iterable[Any], context: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    """Write each row in this form: one serializer for all costs a third of one for each."""
    return list(form(rows, many=True, context=context or {}).data)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    number: int
    size: int

    @classmethod
    def of(cls, request: Request) -> "Page":
        """Read the query string strictly."""
        return cls(
            _integer(request, "page", default=1, maximum=MAXIMUM_PAGE),
            _integer(request, "page_size", default=DEFAULT_PAGE_SIZE, maximum=MAXIMUM_PAGE_SIZE),
        )

    def rows(self, queryset: QuerySet[Row]) -> list[Row]:
        """Return this page's rows of an ordered queryset."""
        start = (self.number - 1) * self.size
        return list(queryset[start : start + self.size])

    def of_keys(self, queryset: QuerySet[Row]) -> QuerySet[Row, dict[str, Any]]:
        """Return the keys of this page's rows, for ``pk__in`` of another query."""
        start = (self.number - 1) * self.size
        return queryset.values("pk")[start : start + self.size]

    def total(self, queryset: QuerySet[Row]) -> int:
        """Count the rows: exactly up to ``COUNTED``.

        Beyond that a count would cost more than the page. Then it is what is known to be there: the
        rows up to the end of this page, and one more where there is a next page.
        """
        rows = queryset.order_by().values("pk")
        counted = rows[: COUNTED + 1].count()
        start = (self.number - 1) * self.size
        if counted <= COUNTED or start + self.size < counted:
            return counted
        return max(counted, start + rows[start : start + self.size + 1].count())

    def headers(self, request: Request, total: int) -> dict[str, str]:
        """Return the total and the links to the neighbours that exist."""
        links = []
        if self.number > 1 and total:
            last = -(-total // self.size)
            links.append(self._link(request, min(self.number - 1, last), "prev"))
        if self.number * self.size < total:
            links.append(self._link(request, self.number + 1, "next"))
        headers = {"X-Total-Count": str(total)}
        if links:
            headers["Link"] = ", ".join(links)
        return headers

    def _link(self, request: Request, number: int, relation: str) -> str:
        others: Sequence[tuple[str, Any]] = [
            (name, value)
            for name, values in request.query_params.lists()
            if name not in {"page", "page_size"}
            for value in values
        ]
        query = urlencode([*others, ("page", number), ("page_size", self.size)])
        return f'<{request.path}?{query}>; rel="{relation}"'


def _integer(request: Request, name: str, *, default: int, maximum: int) -> int:
    text = request.query_params.get(name)
    # harborapi sends an empty one where nothing was chosen.
    if not text:
        return default
    # Python's int() also reads "1_000", "+1" and the digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadRequest(f"{name} must be a whole number from 1 to {maximum}.", field=name)
    number = int(text)
    if not 1 <= number <= maximum:
        raise BadRequest(f"{name} must be a whole number from 1 to {maximum}.", field=name)
    return number
