"""Every API route × every kind of caller → the status it must answer with.

``test_route_matrix.py`` fails on a route without a row here.
"""

from dataclasses import dataclass, field

# The robot is one of ``team`` that pushes and pulls (``ROBOT_ACTIONS``), the token is the
# administrator's and may only read.
CALLERS = (
    "anonymous",
    "outsider",
    "guest",
    "developer",
    "project_admin",
    "administrator",
    "auditor",
    "robot",
    "token",
)
ROBOT_ACTIONS = (
    "project:read",
    "repository:read",
    "repository:list",
    "repository:pull",
    "repository:push",
    "artifact:read",
    "artifact:list",
    "tag:list",
    "tag:create",
)


@dataclass(frozen=True)
class Row:
    """One method of one route, and what each caller gets, in the order of ``CALLERS``."""

    method: str
    route: str
    path: str
    expected: tuple[int, ...]
    body: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def everyone(status: int) -> tuple[int, ...]:
    """The same for all."""
    return (status,) * len(CALLERS)


# ``team`` is the private project; guest, developer and project admin are its members.
ROWS = (
    Row("GET", "v2.0/ping", "/api/v2.0/ping", everyone(200)),
    Row("GET", "v2.0/health", "/api/v2.0/health", everyone(200)),
    Row("GET", "v2.0/projects", "/api/v2.0/projects", everyone(200)),
    Row(
        "HEAD",
        "v2.0/projects",
        "/api/v2.0/projects?project_name=team",
        (404, 404, 200, 200, 200, 200, 200, 200, 200),
    ),
    Row(
        "POST",
        "v2.0/projects",
        "/api/v2.0/projects",
        (401, 201, 201, 201, 201, 201, 403, 403, 403),
        {"project_name": "fresh"},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>",
        "/api/v2.0/projects/team",
        (401, 404, 200, 200, 200, 200, 200, 200, 200),
    ),
    Row(
        "POST",
        "v2.0/users",
        "/api/v2.0/users",
        (401, 403, 403, 403, 403, 201, 403, 403, 403),
        {"username": "newcomer", "password": "a password of their own"},
    ),
    Row(
        "GET",
        "v2.0/users/current",
        "/api/v2.0/users/current",
        (401, 200, 200, 200, 200, 200, 200, 412, 200),
    ),
    Row("GET", "", "/api/v2.0/no/such/path", everyone(404)),
)
