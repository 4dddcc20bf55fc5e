"""Pages of a list: ``?page=`` and ``?size=``; and what it is narrowed to: ``?q=``."""

from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

SIZES = (25, 50, 100)
M = TypeVar("M", bound=Model)
_MAX_QUERY = 255


def page_of(request: HttpRequest, rows: "QuerySet[M, Any]") -> Page[M]:
    """Return the page that was asked for; the nearest one where there is none of that number."""
    asked = request.GET.get("size", "")
    size = int(asked) if asked in map(str, SIZES) else SIZES[0]
    return Paginator(rows, size).get_page(request.GET.get("page"))


def query_of(request: HttpRequest) -> str:
    """Return what a list is searched for, without NUL, which PostgreSQL has in no text."""
    return request.GET.get("q", "").replace("\0", "").strip()[:_MAX_QUERY]
