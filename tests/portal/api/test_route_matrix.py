"""Default deny, walked: every route has a row, and every row holds for every kind of caller."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from django.urls import URLPattern

from portal.api import urls
from portal.api.endpoint import Endpoint
from tests.portal.api.conftest import Caller
from tests.portal.api.route_matrix import CALLERS, ROWS, Row

USERNAMES = {
    "anonymous": "",
    "outsider": "mallory",
    "guest": "carol",
    "developer": "bob",
    "project_admin": "alice",
    "administrator": "admin",
}
# Where credentials are not even looked at.
OPEN = {"", "v2.0/ping", "v2.0/health"}


def _endpoint(pattern: URLPattern) -> type[Endpoint] | None:
    return getattr(pattern.callback, "view_class", None)


def _methods(pattern: URLPattern) -> Iterator[str]:
    endpoint = _endpoint(pattern)
    if endpoint is None:
        yield "GET"
        return
    for method in endpoint.http_method_names:
        if hasattr(endpoint, method):
            yield method.upper()


def test_every_route_has_a_row() -> None:
    routes = {
        (method, str(pattern.pattern))
        for pattern in urls.urlpatterns
        for method in _methods(pattern)
    }
    assert routes == {(row.method, row.route) for row in ROWS}


def test_every_method_names_its_permission() -> None:
    for pattern in urls.urlpatterns:
        endpoint = _endpoint(pattern)
        if endpoint is not None:
            assert set(endpoint.permissions) == set(_methods(pattern)), endpoint


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "kind"), list(itertools.product(ROWS, CALLERS)), ids=lambda value: str(value)
)
def test_the_matrix_holds(row: Row, kind: str, caller: Callable[[str], Caller]) -> None:
    somebody = caller(USERNAMES[kind])
    response = somebody.call(row.method, row.path, row.body or None)
    assert response.status_code == row.expected[CALLERS.index(kind)], response.content


@pytest.mark.django_db
@pytest.mark.parametrize("row", [row for row in ROWS if row.route not in OPEN], ids=str)
def test_a_wrong_password_opens_nothing_that_credentials_open(
    row: Row, caller: Callable[[str], Caller]
) -> None:
    wrong = "Basic YWRtaW46d3Jvbmc="
    response = caller("").call(row.method, row.path, row.body or None, Authorization=wrong)
    assert response.status_code == 401
