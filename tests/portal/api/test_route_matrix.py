"""Default deny, walked: every route has a row, and every row holds for every kind of caller."""

import itertools
from collections.abc import Callable, Iterator

import pytest
from django.urls import URLPattern

from accounts import personal_tokens, robots
from accounts.models import Project, User
from accounts.principals import SYSTEM_ACTOR
from accounts.robots import Permission, Terms
from portal.api import urls
from portal.api.endpoint import Endpoint
from tests.conftest import make_user
from tests.portal.api.conftest import Caller, basic
from tests.portal.api.route_matrix import CALLERS, ROBOT_ACTIONS, ROWS, Row

USERNAMES = {
    "anonymous": "",
    "outsider": "mallory",
    "guest": "carol",
    "developer": "bob",
    "project_admin": "alice",
    "administrator": "admin",
    "auditor": "audrey",
}
# Where credentials are not even looked at.
OPEN = {"", "v2.0/ping", "v2.0/health", "v2.0/openapi.json"}


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


def _auditor() -> None:
    make_user("audrey")
    User.objects.filter(username="audrey").update(is_auditor=True)


def _robots_header() -> str:
    team = Project.objects.get(name="team")
    permissions = tuple(Permission(action, team) for action in ROBOT_ACTIONS)
    terms = Terms(permissions=permissions)
    robot, secret = robots.create(name="ci", project=team, terms=terms, actor=SYSTEM_ACTOR)
    return basic(robots.login_name(robot), secret)


def _tokens_header() -> str:
    admin = User.objects.get(username="admin")
    _token, secret = personal_tokens.create(
        admin, name="reader", scopes=["api:read"], days=1, actor=SYSTEM_ACTOR
    )
    return f"Bearer {secret}"


@pytest.fixture
def caller_of_kind(caller: Callable[[str], Caller]) -> Callable[[str], Caller]:
    """Return a function from a kind of caller to one."""

    def find(kind: str) -> Caller:
        client = caller("").client
        if kind == "robot":
            return Caller(client, "", _robots_header())
        if kind == "token":
            return Caller(client, "", _tokens_header())
        if kind == "auditor":
            _auditor()
        return caller(USERNAMES[kind])

    return find


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


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_row_answers_every_caller(row: Row) -> None:
    assert len(row.expected) == len(CALLERS)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("row", "kind"), list(itertools.product(ROWS, CALLERS)), ids=lambda value: str(value)
)
def test_the_matrix_holds(row: Row, kind: str, caller_of_kind: Callable[[str], Caller]) -> None:
    response = caller_of_kind(kind).call(row.method, row.path, row.body or None)
    assert response.status_code == row.expected[CALLERS.index(kind)], response.content


@pytest.mark.django_db
@pytest.mark.parametrize("row", [row for row in ROWS if row.route not in OPEN], ids=str)
def test_a_wrong_password_opens_nothing_that_credentials_open(
    row: Row, caller: Callable[[str], Caller]
) -> None:
    wrong = "Basic YWRtaW46d3Jvbmc="
    response = caller("").call(row.method, row.path, row.body or None, Authorization=wrong)
    assert response.status_code == 401
