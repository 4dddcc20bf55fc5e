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


# What is the whole system's: for administrators to read and change, for auditors to read.
SYSTEM_READ = (401, 403, 403, 403, 403, 200, 200, 403, 200)
SYSTEM_WRITE = (401, 403, 403, 403, 403, 200, 403, 403, 403)
SYSTEM_MAKE = (401, 403, 403, 403, 403, 201, 403, 403, 403)
SYSTEM_MISSING_READ = (401, 403, 403, 403, 403, 404, 404, 403, 404)
SYSTEM_MISSING_WRITE = (401, 403, 403, 403, 403, 404, 403, 403, 403)
# What is not there: strangers are asked to sign in, those who may not change are told so.
MISSING_READ = (401, 404, 404, 404, 404, 404, 404, 404, 404)
MISSING_WRITE = (401, 404, 404, 404, 404, 404, 403, 404, 403)
SIGNED_IN = (401, 200, 200, 200, 200, 200, 200, 200, 200)
IN_TEAM = (401, 404, 200, 200, 200, 200, 200, 200, 200)
# A change of ``team`` for its administrators.
TEAM_WRITE = (401, 404, 403, 403, 200, 200, 403, 403, 403)
# What people do to their own account, which nobody does through a robot or a reading token.
OWN_READ = (401, 200, 200, 200, 200, 200, 200, 403, 200)
OWN_MAKE = (401, 201, 201, 201, 201, 201, 201, 403, 403)
OWN_MISSING_WRITE = (401, 404, 404, 404, 404, 404, 404, 403, 403)
TEAM_LOGS = (401, 404, 403, 403, 200, 200, 200, 403, 200)
_IMMUTABLE = "v2.0/projects/<str:name_or_id>/immutabletagrules"
IMMUTABLE_RULE: dict[str, object] = {
    "disabled": False,
    "action": "immutable",
    "template": "immutable_template",
    "tag_selectors": [{"kind": "doublestar", "decoration": "matches", "pattern": "v*"}],
    "scope_selectors": {
        "repository": [{"kind": "doublestar", "decoration": "repoMatches", "pattern": "**"}]
    },
}
_ROBOT: dict[str, object] = {
    "name": "ci",
    "level": "system",
    "permissions": [
        {
            "kind": "system",
            "namespace": "/",
            "access": [{"resource": "quota", "action": "read"}],
        }
    ],
}

_ARTIFACTS = "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts"
_ARTIFACT = f"{_ARTIFACTS}/<str:reference>"
_HISTORY = "v2.0/projects/<str:name_or_id>/repositories/<path:path>/tag-history"

# ``team`` is the private project; guest, developer and project admin are its members.
ROWS = (
    Row("GET", "v2.0/ping", "/api/v2.0/ping", everyone(200)),
    Row("GET", "v2.0/health", "/api/v2.0/health", everyone(200)),
    Row("GET", "v2.0/openapi.json", "/api/v2.0/openapi.json", everyone(200)),
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
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/logs",
        "/api/v2.0/projects/team/logs",
        TEAM_LOGS,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/auditlog-exts",
        "/api/v2.0/projects/team/auditlog-exts",
        TEAM_LOGS,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/auditlog-exts/export",
        "/api/v2.0/projects/team/auditlog-exts/export",
        TEAM_LOGS,
    ),
    Row(
        "GET",
        "v2.0/audit-logs",
        "/api/v2.0/audit-logs",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/auditlog-exts",
        "/api/v2.0/auditlog-exts",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/auditlog-exts/events",
        "/api/v2.0/auditlog-exts/events",
        SIGNED_IN,
    ),
    Row(
        "GET",
        "v2.0/auditlog-exts/export",
        "/api/v2.0/auditlog-exts/export",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/robots",
        "/api/v2.0/robots",
        SYSTEM_READ,
    ),
    Row(
        "POST",
        "v2.0/robots",
        "/api/v2.0/robots",
        SYSTEM_MAKE,
        _ROBOT,
    ),
    Row(
        "GET",
        "v2.0/robots/<int:robot_id>",
        "/api/v2.0/robots/4711",
        MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/robots/<int:robot_id>",
        "/api/v2.0/robots/4711",
        MISSING_WRITE,
        _ROBOT,
    ),
    Row(
        "PATCH",
        "v2.0/robots/<int:robot_id>",
        "/api/v2.0/robots/4711",
        MISSING_WRITE,
        {"secret": ""},
    ),
    Row(
        "DELETE",
        "v2.0/robots/<int:robot_id>",
        "/api/v2.0/robots/4711",
        MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/permissions",
        "/api/v2.0/permissions",
        SIGNED_IN,
    ),
    Row(
        "GET",
        "v2.0/quotas",
        "/api/v2.0/quotas",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/quotas/<int:quota_id>",
        "/api/v2.0/quotas/4711",
        (401, 403, 403, 403, 403, 404, 404, 403, 404),
    ),
    Row(
        "PUT",
        "v2.0/quotas/<int:quota_id>",
        "/api/v2.0/quotas/4711",
        (401, 403, 403, 403, 403, 404, 403, 403, 403),
        {"hard": {"storage": 10}},
    ),
    Row(
        "GET",
        "v2.0/configurations",
        "/api/v2.0/configurations",
        SYSTEM_READ,
    ),
    Row(
        "PUT",
        "v2.0/configurations",
        "/api/v2.0/configurations",
        SYSTEM_WRITE,
        {"read_only": True},
    ),
    Row(
        "GET",
        "v2.0/labels",
        "/api/v2.0/labels",
        everyone(200),
    ),
    Row(
        "POST",
        "v2.0/labels",
        "/api/v2.0/labels",
        SYSTEM_MAKE,
        {"name": "good"},
    ),
    Row(
        "GET",
        "v2.0/labels/<int:label_id>",
        "/api/v2.0/labels/4711",
        everyone(404),
    ),
    Row(
        "PUT",
        "v2.0/labels/<int:label_id>",
        "/api/v2.0/labels/4711",
        MISSING_WRITE,
        {"name": "good"},
    ),
    Row(
        "DELETE",
        "v2.0/labels/<int:label_id>",
        "/api/v2.0/labels/4711",
        MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/search",
        "/api/v2.0/search?q=team",
        everyone(200),
    ),
    Row(
        "GET",
        "v2.0/statistics",
        "/api/v2.0/statistics",
        SIGNED_IN,
    ),
    Row(
        "GET",
        "v2.0/systeminfo",
        "/api/v2.0/systeminfo",
        everyone(200),
    ),
    Row(
        "GET",
        "v2.0/systeminfo/volumes",
        "/api/v2.0/systeminfo/volumes",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/systeminfo/getcert",
        "/api/v2.0/systeminfo/getcert",
        everyone(404),
    ),
    Row(
        "GET",
        "v2.0/system/CVEAllowlist",
        "/api/v2.0/system/CVEAllowlist",
        SIGNED_IN,
    ),
    Row(
        "PUT",
        "v2.0/system/CVEAllowlist",
        "/api/v2.0/system/CVEAllowlist",
        SYSTEM_WRITE,
        {"items": [{"cve_id": "CVE-2024-3094"}]},
    ),
    Row(
        "GET",
        "v2.0/repositories",
        "/api/v2.0/repositories",
        everyone(200),
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/repositories",
        "/api/v2.0/projects/team/repositories",
        IN_TEAM,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>",
        "/api/v2.0/projects/team/repositories/app",
        MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>",
        "/api/v2.0/projects/team/repositories/app",
        (401, 404, 403, 404, 404, 404, 403, 403, 403),
        {"description": "good"},
    ),
    Row(
        "DELETE",
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>",
        "/api/v2.0/projects/team/repositories/app",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row("GET", "v2.0/schedules", "/api/v2.0/schedules", SYSTEM_READ),
    Row(
        "GET",
        "v2.0/schedules/<str:job_type>/paused",
        "/api/v2.0/schedules/all/paused",
        SIGNED_IN,
    ),
    Row("GET", "v2.0/jobservice/pools", "/api/v2.0/jobservice/pools", SYSTEM_READ),
    Row(
        "GET",
        "v2.0/jobservice/pools/<str:pool_id>/workers",
        "/api/v2.0/jobservice/pools/all/workers",
        SYSTEM_READ,
    ),
    Row(
        "PUT",
        "v2.0/jobservice/jobs/<str:job_id>",
        "/api/v2.0/jobservice/jobs/all",
        SYSTEM_WRITE,
    ),
    Row(
        "GET",
        "v2.0/jobservice/jobs/<str:job_id>/log",
        "/api/v2.0/jobservice/jobs/1000000/log",
        SYSTEM_MISSING_READ,
    ),
    Row("GET", "v2.0/jobservice/queues", "/api/v2.0/jobservice/queues", SYSTEM_READ),
    Row(
        "PUT",
        "v2.0/jobservice/queues/<str:job_type>",
        "/api/v2.0/jobservice/queues/all",
        SYSTEM_WRITE,
        {"action": "stop"},
    ),
    Row("GET", "v2.0/system/gc", "/api/v2.0/system/gc", SYSTEM_READ),
    Row(
        "GET",
        "v2.0/system/gc/schedule",
        "/api/v2.0/system/gc/schedule",
        SYSTEM_READ,
    ),
    Row(
        "POST",
        "v2.0/system/gc/schedule",
        "/api/v2.0/system/gc/schedule",
        SYSTEM_MAKE,
        {"schedule": {"type": "None"}},
    ),
    Row(
        "PUT",
        "v2.0/system/gc/schedule",
        "/api/v2.0/system/gc/schedule",
        SYSTEM_WRITE,
        {"schedule": {"type": "None"}},
    ),
    Row(
        "GET",
        "v2.0/system/gc/<int:gc_id>",
        "/api/v2.0/system/gc/1000000",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/system/gc/<int:gc_id>",
        "/api/v2.0/system/gc/1000000",
        SYSTEM_MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/system/gc/<int:gc_id>/log",
        "/api/v2.0/system/gc/1000000/log",
        SYSTEM_MISSING_READ,
    ),
    Row("GET", "v2.0/system/purgeaudit", "/api/v2.0/system/purgeaudit", SYSTEM_READ),
    Row(
        "GET",
        "v2.0/system/purgeaudit/schedule",
        "/api/v2.0/system/purgeaudit/schedule",
        SYSTEM_READ,
    ),
    Row(
        "POST",
        "v2.0/system/purgeaudit/schedule",
        "/api/v2.0/system/purgeaudit/schedule",
        SYSTEM_MAKE,
        {"schedule": {"type": "None"}},
    ),
    Row(
        "PUT",
        "v2.0/system/purgeaudit/schedule",
        "/api/v2.0/system/purgeaudit/schedule",
        SYSTEM_WRITE,
        {"schedule": {"type": "None"}},
    ),
    Row(
        "GET",
        "v2.0/system/purgeaudit/<int:purge_id>",
        "/api/v2.0/system/purgeaudit/1000000",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/system/purgeaudit/<int:purge_id>",
        "/api/v2.0/system/purgeaudit/1000000",
        SYSTEM_MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/system/purgeaudit/<int:purge_id>/log",
        "/api/v2.0/system/purgeaudit/1000000/log",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/projects/<str:name_or_id>",
        "/api/v2.0/projects/team",
        TEAM_WRITE,
        {"metadata": {"public": "true"}},
    ),
    Row("DELETE", "v2.0/projects/<str:name_or_id>", "/api/v2.0/projects/team", TEAM_WRITE),
    Row(
        "GET",
        _HISTORY,
        "/api/v2.0/projects/team/repositories/app/tag-history",
        MISSING_READ,
    ),
    Row(
        "POST",
        f"{_HISTORY}/<int:state_id>/restore",
        "/api/v2.0/projects/team/repositories/app/tag-history/1/restore",
        (401, 404, 403, 404, 404, 404, 403, 404, 403),
    ),
    Row("GET", _IMMUTABLE, "/api/v2.0/projects/team/immutabletagrules", TEAM_LOGS),
    Row(
        "POST",
        _IMMUTABLE,
        "/api/v2.0/projects/team/immutabletagrules",
        (401, 404, 403, 403, 201, 201, 403, 403, 403),
        IMMUTABLE_RULE,
    ),
    Row(
        "POST",
        f"{_IMMUTABLE}/preview",
        "/api/v2.0/projects/team/immutabletagrules/preview",
        (401, 404, 403, 403, 200, 200, 403, 403, 403),
        IMMUTABLE_RULE,
    ),
    Row(
        "PUT",
        f"{_IMMUTABLE}/<int:rule_id>",
        "/api/v2.0/projects/team/immutabletagrules/4711",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
        IMMUTABLE_RULE,
    ),
    Row(
        "DELETE",
        f"{_IMMUTABLE}/<int:rule_id>",
        "/api/v2.0/projects/team/immutabletagrules/4711",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/_deletable",
        "/api/v2.0/projects/team/_deletable",
        TEAM_LOGS,
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/rename",
        "/api/v2.0/projects/team/rename",
        TEAM_WRITE,
        {"project_name": "squad"},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/summary",
        "/api/v2.0/projects/team/summary",
        IN_TEAM,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/metadatas",
        "/api/v2.0/projects/team/metadatas",
        TEAM_LOGS,
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/metadatas",
        "/api/v2.0/projects/team/metadatas",
        (401, 404, 403, 403, 409, 409, 403, 403, 403),
        {"public": "true"},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/metadatas/",
        "/api/v2.0/projects/team/metadatas/",
        TEAM_LOGS,
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/metadatas/",
        "/api/v2.0/projects/team/metadatas/",
        (401, 404, 403, 403, 409, 409, 403, 403, 403),
        {"public": "true"},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/metadatas/<str:name>",
        "/api/v2.0/projects/team/metadatas/public",
        TEAM_LOGS,
    ),
    Row(
        "PUT",
        "v2.0/projects/<str:name_or_id>/metadatas/<str:name>",
        "/api/v2.0/projects/team/metadatas/public",
        TEAM_WRITE,
        {"public": "true"},
    ),
    Row(
        "DELETE",
        "v2.0/projects/<str:name_or_id>/metadatas/<str:name>",
        "/api/v2.0/projects/team/metadatas/public",
        TEAM_WRITE,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/members",
        "/api/v2.0/projects/team/members",
        (401, 404, 200, 200, 200, 200, 200, 403, 200),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/members",
        "/api/v2.0/projects/team/members",
        (401, 404, 403, 403, 201, 201, 403, 403, 403),
        {"role_id": 3, "member_user": {"username": "mallory"}},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/members/<int:member_id>",
        "/api/v2.0/projects/team/members/999999",
        (401, 404, 404, 404, 404, 404, 404, 403, 404),
    ),
    Row(
        "PUT",
        "v2.0/projects/<str:name_or_id>/members/<int:member_id>",
        "/api/v2.0/projects/team/members/999999",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
        {"role_id": 3},
    ),
    Row(
        "DELETE",
        "v2.0/projects/<str:name_or_id>/members/<int:member_id>",
        "/api/v2.0/projects/team/members/999999",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row("GET", "v2.0/users", "/api/v2.0/users", SYSTEM_READ),
    Row("GET", "v2.0/users/search", "/api/v2.0/users/search?username=bob", SIGNED_IN),
    Row("GET", "v2.0/users/<int:user_id>", "/api/v2.0/users/999999", MISSING_READ),
    Row(
        "PUT",
        "v2.0/users/<int:user_id>",
        "/api/v2.0/users/999999",
        OWN_MISSING_WRITE,
        {"comment": "x"},
    ),
    Row("DELETE", "v2.0/users/<int:user_id>", "/api/v2.0/users/999999", SYSTEM_MISSING_WRITE),
    Row(
        "PUT",
        "v2.0/users/<int:user_id>/password",
        "/api/v2.0/users/999999/password",
        OWN_MISSING_WRITE,
        {"old_password": "x", "new_password": "a password of their own"},
    ),
    Row(
        "PUT",
        "v2.0/users/<int:user_id>/sysadmin",
        "/api/v2.0/users/999999/sysadmin",
        SYSTEM_MISSING_WRITE,
        {"sysadmin_flag": True},
    ),
    Row(
        "PUT",
        "v2.0/users/<int:user_id>/cli_secret",
        "/api/v2.0/users/999999/cli_secret",
        OWN_MISSING_WRITE,
        {"secret": ""},
    ),
    Row(
        "GET",
        "v2.0/users/current/permissions",
        "/api/v2.0/users/current/permissions?scope=/project/1",
        SIGNED_IN,
    ),
    Row("GET", "v2.0/users/current/tokens", "/api/v2.0/users/current/tokens", OWN_READ),
    Row(
        "POST",
        "v2.0/users/current/tokens",
        "/api/v2.0/users/current/tokens",
        OWN_MAKE,
        {"name": "laptop", "scopes": ["api:read"]},
    ),
    Row(
        "DELETE",
        "v2.0/users/current/tokens/<int:token_id>",
        "/api/v2.0/users/current/tokens/999999",
        OWN_MISSING_WRITE,
    ),
    Row("GET", "v2.0/users/current/sessions", "/api/v2.0/users/current/sessions", OWN_READ),
    Row(
        "DELETE",
        "v2.0/users/current/sessions/<int:session_id>",
        "/api/v2.0/users/current/sessions/999999",
        OWN_MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts",
        "/api/v2.0/projects/team/repositories/app/artifacts",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts/<str:reference>",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/repositories/<path:path>/artifacts/<str:reference>/tags",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/tags",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/artifacts",
        "/api/v2.0/projects/team/artifacts",
        IN_TEAM,
    ),
    Row(
        "POST",
        _ARTIFACTS,
        "/api/v2.0/projects/team/repositories/app/artifacts?from=team/other:v1",
        (401, 404, 403, 404, 404, 404, 403, 403, 403),
    ),
    Row(
        "DELETE",
        _ARTIFACT,
        "/api/v2.0/projects/team/repositories/app/artifacts/latest",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row(
        "POST",
        f"{_ARTIFACT}/tags",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/tags",
        (401, 404, 403, 404, 404, 404, 403, 404, 403),
        {"name": "stable"},
    ),
    Row(
        "DELETE",
        f"{_ARTIFACT}/tags/<str:tag>",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/tags/latest",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row(
        "POST",
        f"{_ARTIFACT}/labels",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/labels",
        (401, 404, 403, 404, 404, 404, 403, 403, 403),
        {"id": 1},
    ),
    Row(
        "DELETE",
        f"{_ARTIFACT}/labels/<int:label_id>",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/labels/1",
        (401, 404, 403, 404, 404, 404, 403, 403, 403),
    ),
    Row(
        "GET",
        f"{_ARTIFACT}/accessories",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/accessories",
        (401, 404, 404, 404, 404, 404, 404, 403, 404),
    ),
    Row(
        "GET",
        f"{_ARTIFACT}/additions/vulnerabilities",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/additions/vulnerabilities",
        (401, 404, 404, 404, 404, 404, 404, 403, 404),
    ),
    Row(
        "GET",
        f"{_ARTIFACT}/additions/<str:addition>",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/additions/files",
        (401, 404, 404, 404, 404, 404, 404, 403, 404),
    ),
    Row(
        "GET",
        f"{_ARTIFACT}/layers",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/layers",
        MISSING_READ,
    ),
    Row(
        "GET",
        f"{_ARTIFACT}/layers/paths",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/layers/paths?match=a",
        MISSING_READ,
    ),
    Row(
        "GET",
        f"{_ARTIFACT}/layers/<int:number>/files",
        "/api/v2.0/projects/team/repositories/app/artifacts/latest/layers/1/files",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/layer-policy",
        "/api/v2.0/projects/team/layer-policy",
        TEAM_LOGS,
    ),
    Row(
        "PUT",
        "v2.0/projects/<str:name_or_id>/layer-policy",
        "/api/v2.0/projects/team/layer-policy",
        TEAM_WRITE,
        {"least_efficiency": 90},
    ),
    Row(
        "GET",
        "v2.0/compare",
        "/api/v2.0/compare?base=team/app:latest&head=team/app:latest",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/registries",
        "/api/v2.0/registries",
        SYSTEM_READ,
    ),
    Row(
        "POST",
        "v2.0/registries",
        "/api/v2.0/registries",
        SYSTEM_MAKE,
        {"name": "other", "url": "https://registry.example.com"},
    ),
    Row(
        "POST",
        "v2.0/registries/ping",
        "/api/v2.0/registries/ping",
        (401, 403, 403, 403, 403, 400, 403, 403, 403),
        {"url": "http://127.0.0.1:9"},
    ),
    Row(
        "GET",
        "v2.0/registries/<int:registry_id>",
        "/api/v2.0/registries/999",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/registries/<int:registry_id>",
        "/api/v2.0/registries/999",
        SYSTEM_MISSING_WRITE,
        {"name": "other"},
    ),
    Row(
        "DELETE",
        "v2.0/registries/<int:registry_id>",
        "/api/v2.0/registries/999",
        SYSTEM_MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/registries/<int:registry_id>/info",
        "/api/v2.0/registries/999/info",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/replication/adapters",
        "/api/v2.0/replication/adapters",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/replication/adapterinfos",
        "/api/v2.0/replication/adapterinfos",
        SYSTEM_READ,
    ),
    Row(
        "GET",
        "v2.0/replication/policies",
        "/api/v2.0/replication/policies",
        SYSTEM_READ,
    ),
    Row(
        "POST",
        "v2.0/replication/policies",
        "/api/v2.0/replication/policies",
        SYSTEM_MISSING_WRITE,
        {"name": "all", "dest_registry": {"id": 999}},
    ),
    Row(
        "GET",
        "v2.0/replication/policies/<int:policy_id>",
        "/api/v2.0/replication/policies/999",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/replication/policies/<int:policy_id>",
        "/api/v2.0/replication/policies/999",
        SYSTEM_MISSING_WRITE,
        {"name": "all", "dest_registry": {"id": 999}},
    ),
    Row(
        "DELETE",
        "v2.0/replication/policies/<int:policy_id>",
        "/api/v2.0/replication/policies/999",
        SYSTEM_MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/replication/executions",
        "/api/v2.0/replication/executions",
        SYSTEM_READ,
    ),
    Row(
        "POST",
        "v2.0/replication/executions",
        "/api/v2.0/replication/executions",
        SYSTEM_MISSING_WRITE,
        {"policy_id": 999},
    ),
    Row(
        "GET",
        "v2.0/replication/executions/<int:run_id>",
        "/api/v2.0/replication/executions/999",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/replication/executions/<int:run_id>",
        "/api/v2.0/replication/executions/999",
        SYSTEM_MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/replication/executions/<int:run_id>/tasks",
        "/api/v2.0/replication/executions/999/tasks",
        SYSTEM_MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/replication/executions/<int:run_id>/tasks/<int:task_id>/log",
        "/api/v2.0/replication/executions/999/tasks/1/log",
        SYSTEM_MISSING_READ,
    ),
    Row("GET", "", "/api/v2.0/no/such/path", everyone(404)),
    # What can be deleted and restored, by those who may delete; ``team`` has nothing yet.
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/deletion",
        "/api/v2.0/projects/team/deletion",
        (401, 404, 403, 403, 200, 200, 403, 403, 200),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/tag-deletions",
        "/api/v2.0/projects/team/tag-deletions",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
        {"repository": "app", "q": "*"},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/executions/<int:execution_id>",
        "/api/v2.0/projects/team/executions/1",
        (401, 404, 403, 403, 404, 404, 403, 403, 404),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/executions/<int:execution_id>/undo",
        "/api/v2.0/projects/team/executions/1/undo",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/trash",
        "/api/v2.0/projects/team/trash",
        (401, 404, 403, 403, 200, 200, 200, 403, 200),
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/trash/<int:entry_id>",
        "/api/v2.0/projects/team/trash/1",
        (401, 404, 403, 403, 404, 404, 404, 403, 404),
    ),
    Row(
        "DELETE",
        "v2.0/projects/<str:name_or_id>/trash/<int:entry_id>",
        "/api/v2.0/projects/team/trash/1",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/trash/<int:entry_id>/restore",
        "/api/v2.0/projects/team/trash/1/restore",
        (401, 404, 403, 403, 404, 404, 403, 403, 403),
    ),
    Row("GET", "v2.0/trash", "/api/v2.0/trash", SYSTEM_READ),
    Row("GET", "v2.0/trash/projects", "/api/v2.0/trash/projects", SIGNED_IN),
    Row(
        "DELETE",
        "v2.0/trash/projects/<int:project_id>",
        "/api/v2.0/trash/projects/1",
        MISSING_WRITE,
    ),
    Row(
        "POST",
        "v2.0/trash/projects/<int:project_id>/restore",
        "/api/v2.0/trash/projects/1/restore",
        MISSING_WRITE,
    ),
    # Retention: developers may change it, as in Harbor; ``team`` has no policy.
    Row("GET", "v2.0/retentions/metadatas", "/api/v2.0/retentions/metadatas", SIGNED_IN),
    Row(
        "POST",
        "v2.0/retentions",
        "/api/v2.0/retentions",
        (401, 404, 404, 404, 404, 404, 403, 404, 403),
        {"scope": {"level": "project", "ref": 999_999_999}, "rules": []},
    ),
    Row(
        "GET",
        "v2.0/retentions/<int:policy_id>",
        "/api/v2.0/retentions/1",
        MISSING_READ,
    ),
    Row(
        "PUT",
        "v2.0/retentions/<int:policy_id>",
        "/api/v2.0/retentions/1",
        MISSING_WRITE,
    ),
    Row(
        "DELETE",
        "v2.0/retentions/<int:policy_id>",
        "/api/v2.0/retentions/1",
        MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/retentions/<int:policy_id>/executions",
        "/api/v2.0/retentions/1/executions",
        MISSING_READ,
    ),
    Row(
        "POST",
        "v2.0/retentions/<int:policy_id>/executions",
        "/api/v2.0/retentions/1/executions",
        MISSING_WRITE,
    ),
    Row(
        "PATCH",
        "v2.0/retentions/<int:policy_id>/executions/<int:execution_id>",
        "/api/v2.0/retentions/1/executions/1",
        MISSING_WRITE,
    ),
    Row(
        "GET",
        "v2.0/retentions/<int:policy_id>/executions/<int:execution_id>/tasks",
        "/api/v2.0/retentions/1/executions/1/tasks",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/retentions/<int:policy_id>/executions/<int:execution_id>/tasks/<int:task_id>",
        "/api/v2.0/retentions/1/executions/1/tasks/1",
        MISSING_READ,
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/retention/preview",
        "/api/v2.0/projects/team/retention/preview",
        (401, 404, 403, 404, 404, 404, 404, 403, 404),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/retention/preview",
        "/api/v2.0/projects/team/retention/preview",
        (401, 404, 403, 200, 200, 200, 403, 403, 403),
        {"rules": []},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/retention/verdicts",
        "/api/v2.0/projects/team/retention/verdicts",
        (401, 404, 403, 404, 404, 404, 404, 403, 404),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/retention/confirmation",
        "/api/v2.0/projects/team/retention/confirmation",
        (401, 404, 403, 404, 404, 404, 403, 403, 403),
        {"version": 1},
    ),
    Row(
        "POST",
        "v2.0/in-use",
        "/api/v2.0/in-use",
        (401, 200, 200, 200, 200, 200, 403, 200, 403),
        {"cluster": "prod", "images": []},
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/in-use",
        "/api/v2.0/projects/team/in-use",
        (401, 404, 200, 200, 200, 200, 200, 200, 200),
    ),
    Row(
        "GET",
        "v2.0/projects/<str:name_or_id>/pins",
        "/api/v2.0/projects/team/pins",
        (401, 404, 200, 200, 200, 200, 200, 200, 200),
    ),
    Row(
        "POST",
        "v2.0/projects/<str:name_or_id>/pins",
        "/api/v2.0/projects/team/pins",
        (401, 404, 403, 404, 404, 404, 403, 404, 403),
        {"repository": "app", "tag": "1.0"},
    ),
    Row(
        "DELETE",
        "v2.0/projects/<str:name_or_id>/pins/<int:pin_id>",
        "/api/v2.0/projects/team/pins/1",
        (401, 404, 403, 404, 404, 404, 403, 404, 403),
    ),
)
