"""No list and no detail asks the database more often because there is more in it."""

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts import members, personal_tokens, projects, robots
from accounts.principals import SYSTEM_ACTOR
from accounts.robots import Permission, Terms
from accounts.roles import Role
from registry_sync import labels
from registry_sync.labels import Look
from tests.conftest import Cast, make_user
from tests.factories import make_image, make_repository, push_image
from tests.portal.api.conftest import Caller, told
from tests.portal.api.route_matrix import CALLERS, ROWS, Row

MANY = 14
# Beside those that say who asks and whether they may: the user, the password, the throttle.
BUDGET = 10
AUTHENTICATION = 5
# What is asked for often, or counted much, has less.
CLOSER = {"statistics": 3, "repositories": 4, "projects/team/repositories/app/artifacts": 7}
_ADMINISTRATOR = CALLERS.index("administrator")


def is_read(row: Row) -> bool:
    """Tell whether the administrator reads something there."""
    return row.method == "GET" and row.expected[_ADMINISTRATOR] == 200 and bool(row.route)


@pytest.fixture
def filled(cast: Cast) -> Cast:
    """Many of each thing, where the matrix looks for them."""
    terms = Terms(permissions=(Permission("repository:pull", cast.team),))
    for number in range(MANY):
        user = make_user(f"user{number}")
        projects.create(name=f"pier-{number}", owner=user, actor=SYSTEM_ACTOR)
        members.add(cast.team, user=user, role=Role.GUEST, actor=SYSTEM_ACTOR)
        robots.create(name=f"ci-{number}", project=cast.team, terms=terms, actor=SYSTEM_ACTOR)
        robots.create(
            name=f"ci-{number}",
            project=None,
            terms=Terms(permissions=(Permission("quota:read", None, is_system=True),)),
            actor=SYSTEM_ACTOR,
        )
        for project in (None, cast.team):
            labels.create(project, look=Look(name=f"label-{number}"), actor=SYSTEM_ACTOR)
        personal_tokens.create(
            cast.admin, name=f"token-{number}", scopes=["api:read"], days=1, actor=SYSTEM_ACTOR
        )
        push_image(make_repository(cast.team, f"app-{number}"), make_image(), "1")
    app = make_repository(cast.team, "app")
    for number in range(MANY):
        push_image(app, make_image(), f"1.{number}")
    return cast


def test_every_read_stays_within_its_budget(filled: Cast, caller: Callable[[str], Caller]) -> None:
    """In one test: making the rows costs more than reading them."""
    admin = caller("admin")
    asked: dict[str, list[str]] = {}
    for row in filter(is_read, ROWS):
        path = f"{row.path}{'&' if '?' in row.path else '?'}page_size=100"
        admin.get(path)
        with CaptureQueriesContext(connection) as queries:
            answer = admin.get(path)
        assert answer.status_code in {200, 404}, (path, answer.content)
        asked[path] = [query["sql"] for query in queries]
    for path, budget in CLOSER.items():
        admin.get(path)
        with CaptureQueriesContext(connection) as queries:
            assert admin.get(path).status_code == 200
        assert len(queries) <= AUTHENTICATION + budget, path
    most = AUTHENTICATION + BUDGET
    assert {path: sqls for path, sqls in asked.items() if len(sqls) > most} == {}


def test_there_are_many_rows(filled: Cast, caller: Callable[[str], Caller]) -> None:
    for path in (
        "projects",
        "users",
        "robots",
        "labels?scope=g",
        "projects/team/members",
        "projects/team/repositories",
        "projects/team/repositories/app/artifacts",
        "audit-logs",
        "users/current/tokens",
    ):
        mark = "&" if "?" in path else "?"
        assert len(told(caller("admin").get(f"{path}{mark}page_size=100"))) >= MANY, path
