"""Pages of a list: ``?page=`` and ``?size=``."""

from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

SIZES = (25, 50, 100)
M = TypeVar("M", bound=Model)


def page_of(request: HttpRequest, rows: "QuerySet[M, Any]") -> Page[M]:
    """Return the page that was asked for; the nearest one where there is none of that number."""
    asked = request.GET.get("size", "")
    size = int(asked) if asked in map(str, SIZES) else SIZES[0]
    return Paginator(rows, size).get_page(request.GET.get("page"))
