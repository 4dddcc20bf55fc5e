"""The audit: who did what, for administrators and auditors, and a project's for its administrators.

An entry's action is ``<operation>_<resource type>``: ``create_project``.
"""

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponseBase, StreamingHttpResponse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import access
from accounts.errors import BadRequest
from accounts.models import AuditEntry
from portal.api import projects, query
from portal.api.base import MaySystem, SignedIn
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page, listed

_TEXTS = {"username": "actor_name", "resource": "resource"}
_TIMES = {"op_time": "at"}
_OTHERS = ("operation", "resource_type", "operation_result")
_SORTS = {"id": "pk", "op_time": "at", "username": "actor_name", "resource": "resource"}
_WORD = re.compile(r"~?[a-z_]{1,64}")
_EXPORT_BATCH = 500
# What a spreadsheet would take for a formula when it stands first in a cell.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_COLUMNS = (
    "id",
    "op_time",
    "username",
    "user_kind",
    "address",
    "request_id",
    "operation",
    "resource_type",
    "resource",
    "project_id",
    "operation_result",
    "detail",
)
EVENT_TYPES = (
    "create_artifact",
    "create_label",
    "create_member",
    "create_project",
    "create_robot",
    "create_token",
    "create_user",
    "delete_artifact",
    "delete_label",
    "delete_member",
    "delete_project",
    "delete_repository",
    "delete_robot",
    "delete_tag",
    "delete_token",
    "delete_user",
    "login_user",
    "purge_audit_log",
    "refresh_robot_secret",
    "update_configuration",
    "update_cve_allowlist",
    "update_label",
    "update_member",
    "update_project",
    "update_repository",
    "update_robot",
    "update_user",
)


class ListAudit(MaySystem):
    """Administrators, auditors, and robots that were given it."""

    action = "audit-log:list"


class AuditLogOutput(serializers.Serializer[AuditEntry]):
    """The contract's ``AuditLog``."""

    id = serializers.IntegerField(source="pk")
    username = serializers.CharField(source="actor_name")
    resource = serializers.CharField()
    resource_type = serializers.SerializerMethodField()
    operation = serializers.SerializerMethodField()
    op_time = serializers.DateTimeField(source="at", default_timezone=UTC)

    def get_resource_type(self, entry: AuditEntry) -> str:
        """Return what it was done to: ``project``."""
        return entry.action.partition("_")[2]

    def get_operation(self, entry: AuditEntry) -> str:
        """Return what was done: ``create``."""
        return entry.action.partition("_")[0]


class AuditLogExtOutput(AuditLogOutput):
    """The contract's ``AuditLogExt``, and where the caller came from."""

    operation_description = serializers.SerializerMethodField()
    operation_result = serializers.SerializerMethodField()
    address = serializers.CharField()
    request_id = serializers.CharField()
    detail = serializers.JSONField()

    def get_operation_description(self, entry: AuditEntry) -> str:
        """Return one line for people."""
        return f"{entry.action.replace('_', ' ')}: {entry.resource}"

    def get_operation_result(self, entry: AuditEntry) -> bool:
        """Return whether it was allowed."""
        return entry.outcome == AuditEntry.Outcome.SUCCESS


class EventTypeOutput(serializers.Serializer[dict[str, str]]):
    """The contract's ``AuditLogEventType``."""

    event_type = serializers.CharField()


class AuditLogs(Endpoint):
    """``/audit-logs``."""

    permissions = {"GET": ListAudit}
    operations = {"GET": Operation(gives=AuditLogOutput, is_list=True, name="listAuditLogs")}
    output: type[AuditLogOutput] = AuditLogOutput

    def get(self, request: Request) -> Response:
        """List the whole system's audit, the newest first."""
        return _page(AuditEntry.objects.all(), request, self.output)


class AuditLogExts(AuditLogs):
    """``/auditlog-exts``."""

    operations = {"GET": Operation(gives=AuditLogExtOutput, is_list=True, name="listAuditLogExts")}

    output = AuditLogExtOutput


class ProjectLogs(Endpoint):
    """``/projects/{project_name}/logs``."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(gives=AuditLogOutput, is_list=True, name="getLogs")}
    output: type[AuditLogOutput] = AuditLogOutput

    def get(self, request: Request, name_or_id: str) -> Response:
        """List what happened in one project, the newest first."""
        return _page(_of_project(self, request, name_or_id), request, self.output)


class ProjectLogExts(ProjectLogs):
    """``/projects/{project_name}/auditlog-exts``."""

    operations = {"GET": Operation(gives=AuditLogExtOutput, is_list=True, name="getLogExts")}

    output = AuditLogExtOutput


class EventTypes(Endpoint):
    """``/auditlog-exts/events``."""

    permissions = {"GET": SignedIn}
    operations = {
        "GET": Operation(
            gives=EventTypeOutput, is_list=True, is_whole=True, name="listAuditLogEventTypes"
        )
    }

    def get(self, request: Request) -> Response:
        """List what kinds of events there are."""
        return Response([EventTypeOutput({"event_type": name}).data for name in EVENT_TYPES])


class Export(Endpoint):
    """``/auditlog-exts/export``: ours."""

    permissions = {"GET": ListAudit}
    operations = {"GET": Operation(query=("format", "q"), media_type="text/csv")}

    def get(self, request: Request) -> HttpResponseBase:
        """Stream the whole system's audit."""
        return _download(AuditEntry.objects.all(), request, "audit")


class ProjectExport(Endpoint):
    """``/projects/{project_name}/auditlog-exts/export``: ours."""

    permissions = {"GET": SignedIn}
    operations = {"GET": Operation(query=("format", "q"), media_type="text/csv")}

    def get(self, request: Request, name_or_id: str) -> HttpResponseBase:
        """Stream what happened in one project."""
        return _download(_of_project(self, request, name_or_id), request, "project-audit")


def _of_project(endpoint: Endpoint, request: Request, name_or_id: str) -> QuerySet[AuditEntry]:
    project = projects.find(request, name_or_id, principal=endpoint.principal)
    access.require(endpoint.principal, "log:list", project)
    return AuditEntry.objects.filter(project_id=project.pk)


def _page(found: QuerySet[AuditEntry], request: Request, output: type[AuditLogOutput]) -> Response:
    found = _filtered(found, request)
    page = Page.of(request)
    # Numbers first, rows then: skipping along an index costs less than skipping whole rows.
    ids = page.rows(query.ordered(found, request, _SORTS).only("pk"))
    rows = AuditEntry.objects.in_bulk([entry.pk for entry in ids])
    return Response(
        listed(output, [rows[entry.pk] for entry in ids if entry.pk in rows]),
        headers=page.headers(request, page.total(found)),
    )


def _filtered(found: QuerySet[AuditEntry], request: Request) -> QuerySet[AuditEntry]:
    found = query.matching(found, request, _TEXTS, times=_TIMES, others=_OTHERS)
    for name, value in query.conditions(request):
        if name == "operation_result":
            is_success = query.boolean(value, name)
            outcome = AuditEntry.Outcome.SUCCESS if is_success else AuditEntry.Outcome.DENIED
            found = found.filter(outcome=outcome)
        elif name in _OTHERS:
            found = found.filter(_action(name, value))
    return found


def _action(name: str, value: str) -> Q:
    """Look for a part of the action: before its first underscore, or after."""
    if not _WORD.fullmatch(value):
        raise BadRequest(f"q reads {name} as a word such as create or project.", field="q")
    word = value.removeprefix("~")
    if value.startswith("~"):
        if name == "operation":
            return Q(action__regex=f"^[a-z]*{word}[a-z]*_")
        return Q(action__regex=f"^[a-z]+_.*{word}")
    if name == "operation":
        # A prefix, which an index serves; an underscore would be any character there.
        return Q(action__gte=f"{word}_", action__lt=f"{word}`")
    return Q(action__endswith=f"_{word}") & Q(action__regex=f"^[a-z]+_{word}$")


def _download(found: QuerySet[AuditEntry], request: Request, name: str) -> HttpResponseBase:
    """Stream every entry that ``q`` selects, the newest first."""
    form = query.text(request, "format") or "csv"
    if form not in {"csv", "jsonl"}:
        raise BadRequest("format must be csv or jsonl.", field="format")
    entries = _walk(_filtered(found, request))
    is_csv = form == "csv"
    response = StreamingHttpResponse(
        _csv(entries) if is_csv else _json_lines(entries),
        content_type="text/csv; charset=utf-8" if is_csv else "application/x-ndjson",
    )
    response["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return response


def _walk(found: QuerySet[AuditEntry]) -> Iterator[dict[str, Any]]:
    """Read in batches by number: no long transaction, and no row twice."""
    found = found.order_by("-pk")
    batch = list(found[:_EXPORT_BATCH])
    while batch:
        yield from map(_exported, batch)
        batch = list(found.filter(pk__lt=batch[-1].pk)[:_EXPORT_BATCH])


def _exported(entry: AuditEntry) -> dict[str, Any]:
    operation, _underscore, resource_type = entry.action.partition("_")
    values = (
        entry.pk,
        entry.at.astimezone(UTC).isoformat(),
        entry.actor_name,
        entry.actor_kind,
        entry.address,
        entry.request_id,
        operation,
        resource_type,
        entry.resource,
        entry.project_id,
        entry.outcome == AuditEntry.Outcome.SUCCESS,
        entry.detail,
    )
    return dict(zip(_COLUMNS, values, strict=True))


def _json_lines(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    for entry in entries:
        yield json.dumps(entry, ensure_ascii=False) + "\n"


class _Echo:
    """What csv writes into, to get each line back."""

    def write(self, line: str) -> str:
        return line


def _csv(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield str(writer.writerow(_COLUMNS))
    for entry in entries:
        yield str(writer.writerow([_cell(value) for value in entry.values()]))


def _cell(value: object) -> object:
    """Keep a spreadsheet from running what somebody chose as a name."""
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value
