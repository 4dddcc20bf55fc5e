"""What is about an artifact: signatures, SBOMs and other accessories."""

from collections.abc import Callable, Iterable
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.errors import BadRequest
from portal.api import artifacts, query, repositories
from portal.api.artifact_output import AccessoryOutput
from portal.api.base import Anyone
from portal.api.endpoint import Endpoint
from portal.api.openapi import Operation
from portal.api.paging import Page
from registry_sync.accessories import Accessory, accessories_of

_FIELDS: dict[str, Callable[[Accessory], Any]] = {
    "type": lambda row: row.kind.value,
    "digest": lambda row: row.artifact.digest,
    "id": lambda row: row.artifact.pk,
    "size": lambda row: row.artifact.size,
    "creation_time": lambda row: row.artifact.pushed_at,
}
_FILTERS = ("type", "digest")


class Accessories(Endpoint):
    """``…/artifacts/{reference}/accessories``."""

    permissions = {"GET": Anyone}
    operations = {
        "GET": Operation(gives=AccessoryOutput, is_list=True, name="listAccessories"),
    }
    noun = "accessory"

    def get(self, request: Request, name_or_id: str, path: str, reference: str) -> Response:
        """List what is about the artifact, signatures first."""
        repository = repositories.find(self, request, name_or_id, path, action="accessory:list")
        artifact = artifacts.find(repository, reference)
        found = _ordered(_filtered(accessories_of(repository, artifact.digest), request), request)
        page = Page.of(request)
        start = (page.number - 1) * page.size
        context = {"repository": repository.name}
        return Response(
            [
                AccessoryOutput(row, context=context).data
                for row in found[start : start + page.size]
            ],
            headers=page.headers(request, len(found)),
        )


def _filtered(rows: Iterable[Accessory], request: Request) -> list[Accessory]:
    """Apply ``q=type=signature.cosign,digest=~0123``; there are few, so that no database helps."""
    found = list(rows)
    for name, value in query.conditions(request):
        if name not in _FILTERS or value[:1] in {"[", "("}:
            raise BadRequest("q reads type= and digest= here, exactly or with ~.", field="q")
        read = _FIELDS[name]
        if value.startswith("~"):
            found = [row for row in found if value[1:].lower() in read(row)]
        elif value.startswith("{"):
            words = {word.strip("\"'") for word in value[1:-1].replace(",", " ").split()}
            found = [row for row in found if read(row) in words]
        else:
            found = [row for row in found if read(row) == value]
    return found


def _ordered(rows: list[Accessory], request: Request) -> list[Accessory]:
    wanted = [part.strip() for part in query.text(request, "sort").split(",") if part.strip()]
    for part in reversed(wanted):
        name = part.removeprefix("-")
        if name not in _FIELDS:
            raise BadRequest(f"sort knows {', '.join(sorted(_FIELDS))} here.", field="sort")
        rows = sorted(rows, key=_FIELDS[name], reverse=part.startswith("-"))
    return rows
