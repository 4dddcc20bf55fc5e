"""The API's reference, for people: the OpenAPI document as one page, without a script."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from portal.openapi import document
from portal.web.access import public_page


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of path or query."""

    name: str
    place: str
    description: str


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a JSON object."""

    name: str
    type: str
    is_required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    group: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    takes: tuple[Member, ...]
    gives: tuple[Member, ...]
    is_list: bool
    status: str

    @property
    def anchor(self) -> str:
        """Return what a link to it ends with."""
        name = self.path.strip("/").replace("/", "-").replace("{", "").replace("}", "")
        return f"{self.method.lower()}-{name}"


@require_safe
@public_page
def index(request: HttpRequest) -> HttpResponse:
    """List every operation by group."""
    return render(request, "reference/index.html", {"section": "reference", "groups": _groups()})


@lru_cache(maxsize=1)
def _groups() -> list[tuple[str, list[Operation]]]:
    described = document()
    schemas = described["components"]["schemas"]
    found = [
        _operation(path, method, operation, schemas)
        for path, item in described["paths"].items()
        for method, operation in item.items()
    ]
    found.sort(key=lambda operation: (operation.group, operation.path))
    return [
        (name.replace("_", " "), list(members))
        for name, members in groupby(found, key=lambda operation: operation.group)
    ]


def _operation(
    path: str, method: str, described: dict[str, Any], schemas: dict[str, Any]
) -> Operation:
    status, success = next(iter(described["responses"].items()))
    given = _json_of(success)
    return Operation(
        group=described["tags"][0],
        method=method.upper(),
        path=path,
        summary=described.get("summary", ""),
        description=described.get("description", ""),
        parameters=tuple(
            Parameter(p["name"], p["in"], p.get("description", ""))
            for p in described.get("parameters", ())
        ),
        takes=_members(_json_of(described.get("requestBody", {})), schemas),
        gives=_members(given.get("items", given), schemas),
        is_list=given.get("type") == "array",
        status=status,
    )


def _json_of(body: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = body.get("content", {}).get("application/json", {})
    schema: dict[str, Any] = content.get("schema", {})
    return schema


def _members(schema: dict[str, Any], schemas: dict[str, Any]) -> tuple[Member, ...]:
    schema = _resolved(schema, schemas)
    required = schema.get("required", ())
    return tuple(
        Member(name, _type(member, schemas), name in required)
        for name, member in schema.get("properties", {}).items()
    )


def _resolved(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    found: dict[str, Any] = schemas[reference.rpartition("/")[2]] if reference else schema
    return found


def _type(member: dict[str, Any], schemas: dict[str, Any]) -> str:
    """Return ``string``, ``[integer]``, ``{name, value}`` or one of the allowed words."""
    if "allOf" in member:
        member = member["allOf"][0]
    member = _resolved(member, schemas)
    if "enum" in member:
        return " | ".join(str(word) for word in member["enum"] if word not in {"", None})
    if member.get("type") == "array":
        return f"[{_type(member.get('items', {}), schemas)}]"
    if "properties" in member:
        return "{" + ", ".join(member["properties"]) + "}"
    return str(member.get("format") or member.get("type") or "any")
